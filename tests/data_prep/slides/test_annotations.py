"""ImageScope's XML: labels where BACH has them, and files that are damaged or hostile refused with one line."""

from pathlib import Path

import pytest

from data_prep.slides.annotations import read_annotations
from pyhisto.errors import InputError

SQUARE = '<Vertices><Vertex X="0" Y="0"/><Vertex X="9.5" Y="0"/><Vertex X="9.5" Y="7"/></Vertices>'


def document(*regions: str) -> str:
    layer = f'<Annotation MicronsPerPixel="0.467"><Regions>{"".join(regions)}</Regions></Annotation>'
    return f"<Annotations>{layer}</Annotations>"


def write(folder: Path, text: str) -> Path:
    (folder / "A01.xml").write_text(text)
    return folder / "A01.xml"


def test_labels_from_the_attribute_or_else_the_text(tmp_path: Path) -> None:
    attribute = '<Attributes><Attribute Name="Description" Value="{}"/></Attributes>'
    found = read_annotations(
        write(
            tmp_path,
            document(
                f'<Region Text="">{attribute.format("Carcinoma in situ")}{SQUARE}</Region>',
                f'<Region Text="Benign">{attribute.format("INVASIVE carcinoma")}{SQUARE}</Region>',
                f'<Region Text="Benign">{attribute.format("")}{SQUARE}</Region>',
                f'<Region Text="artefact">{SQUARE}</Region>',
                '<Region Text="Benign"><Vertices><Vertex X="0" Y="0"/></Vertices></Region>',
            ),
        )
    )
    assert [region.label for region in found.regions] == [2, 3, 1]
    assert found.regions[0].points.tolist() == [[0, 0], [9.5, 0], [9.5, 7]]
    assert found.microns_per_pixel == 0.467
    assert found.skipped == 2


BOMB = (
    '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {b} "{f"&{a};" * 10}">' for a, b in zip("abcdefgh", "bcdefghi", strict=True))
    + "]><Annotations>&i;</Annotations>"
)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (BOMB, "declares entities"),
        ('<!DOCTYPE x SYSTEM "file:///etc/passwd"><Annotations/>', "declares entities"),
        ("", "not valid XML"),
        (document()[:-5], "not valid XML"),
        ("<svg/>", "no ImageScope annotation file"),
        (
            document('<Region Text="benign"><Vertices><Vertex X="x" Y="0"/></Vertices></Region>'),
            "'x' is not a coordinate",
        ),
        (document('<Region Text="benign"><Vertices><Vertex X="1e30" Y="0"/></Vertices></Region>'), "'1e30' is not"),
        (document('<Region Text="benign"><Vertices><Vertex X="nan" Y="0"/></Vertices></Region>'), "'nan' is not"),
        (document('<Region Text="benign"><Vertices><Vertex Y="0"/></Vertices></Region>'), "'None' is not"),
    ],
)
def test_bad_files_are_one_line(tmp_path: Path, text: str, complaint: str) -> None:
    with pytest.raises(InputError) as error:
        read_annotations(write(tmp_path, text))
    assert complaint in str(error.value)
    assert "\n" not in str(error.value)
