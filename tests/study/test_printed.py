import pytest

from pyhisto.study.paper.printed import BREAKHIS, MAGNIFICATIONS, read_printed


def cell(table: list[dict[str, str]], metric: str, strategy: str, magnification: str) -> float:
    (record,) = [r for r in table if (r["metric"], r["strategy"]) == (metric, strategy)]
    return float(record[f"{magnification}X"]) / 100


@pytest.mark.parametrize("magnification", MAGNIFICATIONS)
@pytest.mark.parametrize("strategy", ["1", "2", "3"])
def test_the_ppv_of_table_3_is_the_negative_predictive_value_of_table_4(magnification: str, strategy: str) -> None:
    table3, table4 = read_printed(BREAKHIS[0]), read_printed(BREAKHIS[1])
    il = cell(table3, "IL", strategy, magnification)
    precision = cell(table4, "precision", strategy, magnification)
    recall = cell(table4, "recall", strategy, magnification)
    # Of one malignant image: TP = recall, FN = 1 - recall, FP = recall (1 / precision - 1). Of all images, malignant is
    # the share s; 1 - IL = s (FN + FP).
    false_positive = recall * (1 / precision - 1)
    share = (1 - il) / (1 - recall + false_positive)
    assert share == pytest.approx(0.68, abs=0.02)  # BreaKHis: 5429 of 7909 images, 0.686: IL counts benign images too
    true_negative, false_negative = 1 - share - share * false_positive, share * (1 - recall)
    npv = true_negative / (true_negative + false_negative)
    printed = cell(table3, "PPV", strategy, magnification)
    assert npv == pytest.approx(printed, abs=0.025)
