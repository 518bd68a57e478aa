"""How many samples each slide gives of each class; expected values by hand."""

from data_prep.slides.sharing import of_slide, share, shortage

EQUAL = (1.0, 1.0, 1.0, 1.0)


def test_what_a_class_lacks_its_pair_gives_and_then_the_others() -> None:
    assert of_slide((100, 100, 100, 100), 40, EQUAL) == [10, 10, 10, 10]
    assert of_slide((100, 2, 100, 100), 40, EQUAL) == [18, 2, 10, 10]  # Benign lacks 8: Normal gives them
    assert of_slide((100, 100, 3, 12), 40, EQUAL) == [13, 12, 3, 12]  # InSitu lacks 7: Invasive 2, the others 5
    assert of_slide((5, 5, 0, 0), 40, EQUAL) == [5, 5, 0, 0]  # there is no more
    assert of_slide((9, 9, 9, 9), 3, (1.0, 0.0, 1.0, 1.0)) == [1, 0, 1, 1]


def test_what_a_slide_lacks_others_give() -> None:
    room = {"A01": (10, 0, 0, 0), "A02": (50, 50, 50, 50), "A03": (20, 20, 20, 20)}
    counts = share(room, {"A01": 40, "A02": 40, "A03": 40}, EQUAL)
    # A01 lacks 30. A02 has 160 left, A03 40: A02 gives them all.
    assert {slide: sum(counts[slide]) for slide in counts} == {"A01": 10, "A02": 70, "A03": 40}
    assert all(have <= most for slide in counts for have, most in zip(counts[slide], room[slide], strict=True))


def test_it_is_said_how_many_there_can_be() -> None:
    room = {"A01": (10, 0, 0, 0), "A02": (5, 5, 5, 5)}
    assert shortage(room, 30) is None
    said = "31 samples are wanted, and there is room for 30 that do not overlap more (A01 10, A02 20)"
    assert shortage(room, 31) == said
    assert sum(map(sum, share(room, {"A01": 20, "A02": 20}, EQUAL).values())) == 30
