"""Figures: the same bytes each time; text is text; no panel is left over."""

from pathlib import Path

from pyhisto.tables.drawing import Drawing, make_panels, save_drawing


def draw(title: str) -> Drawing:
    figure, panels = make_panels(3, 2, 2, 2)
    panels[0].plot([1, 10], [1, 2])
    panels[0].set_title(title)
    panels[0].set_xscale("log")
    return Drawing("d", "a caption", figure)


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        assert save_drawing(draw("title"), tmp_path / name) == tmp_path / name / "figures/d.png"
    for ending in ("png", "svg"):
        assert (tmp_path / f"one/figures/d.{ending}").read_bytes() == (
            tmp_path / f"two/figures/d.{ending}"
        ).read_bytes()


def test_a_name_is_no_formula_and_an_axis_s_powers_are(tmp_path: Path) -> None:
    drawing = draw(r"$\undefined{")  # which matplotlib refuses as a formula
    save_drawing(drawing, tmp_path)
    axes = drawing.figure.axes[0]
    assert not axes.title.get_parse_math()
    assert all(label.get_parse_math() for label in axes.get_xticklabels())


def test_panels_that_are_left_over_are_hidden() -> None:
    assert [axes.get_visible() for axes in draw("t").figure.axes] == [True, True, True, False]
    assert len(make_panels(1, 4, 2, 2)[0].axes) == 1
