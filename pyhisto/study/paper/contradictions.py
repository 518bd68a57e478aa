"""Where the paper contradicts itself."""

from typing import NamedTuple


class Contradiction(NamedTuple):
    """What does not agree with itself in the paper, and what is done here."""

    heading: str
    text: str


CONTRADICTIONS = (
    Contradiction(
        "PPV and precision",
        "Eq. 12 defines PPV as TP / (TP + FP), which is precision. Yet Tables 3 and 4 print different numbers for "
        "the two, up to 12 points apart (73.4 and 85.2 in strategy 1, 200X). IL, precision and recall together give "
        "the confusion matrix, and its TN / (TN + FN) is within 2.5 points of Table 3's PPV in all twelve cells: "
        "Table 3 takes benign as the positive class, Table 4 malignant. Here PPV is eq. 12 with malignant positive, "
        "and the negative predictive value (NPV) stands beside Table 3 as well.",
    ),
    Contradiction(
        "1856 or 2384 channels",
        "Table 1 gives the tail 1856 channels: 832 + 512 + 512, the blocks 4e, 4b and 4c. Its note says that it joins "
        "4c to 4e with 4d, whose 528 channels cannot be in that sum; the authors' published network joins 4e, 4b, 4c "
        "and 4d: 2384. Both can be generated (variants paper and released).",
    ),
    Contradiction(
        "Table 1's parameters",
        "The Params column of Table 1 does not follow from the shapes beside it. Table 7 does: its 3.77 M weights and "
        "2920.3 M FLOPs are reproduced exactly.",
    ),
    Contradiction(
        "Eq. 6 and its text",
        "TH = mean + standard deviation + k: a larger k gives a higher threshold. The text says that a lower k does.",
    ),
    Contradiction(
        "Table 7's row of [11]",
        "Its 0.55 M weights are the 32x32 network's size in MiB (145,058 numbers of 4 bytes are 0.553 MiB), while the "
        "3.77 M of the paper's own network are a number; the 64x64 network has more weights, and the same 0.55 is "
        "printed. Its 47.4 and 188.5 M FLOPs are 1.9 times what the networks cost; none of the 82,944 readings that "
        "benchmarks/table7_compared.py tries gives them.",
    ),
    Contradiction(
        "More loops, better accuracy",
        "The text says that accuracy rises with the loops R. Fig. 10 shows 85.1, 87.8, 87.7 and 88.3% for R = 1 .. 4: "
        "from 2 to 3 it falls, and the steps after the first are below the spread over folds in Table 3.",
    ),
    Contradiction(
        "Cancer images",
        "Eq. 9 and 11 speak of the number of cancer images. Taken at their word they would be recall. The share of "
        "malignant images that follows from the printed IL, precision and recall is that of the data set (two thirds) "
        "only if IL counts benign images too; so it does here.",
    ),
    Contradiction(
        "Learning rate",
        'It "decreases exponentially every 10000 iterations": by how much is not printed. The solvers here use 0.1.',
    ),
)
