"""How many samples each slide gives of each class: what is wanted, as far as there is room, the rest shared out."""

from collections.abc import Mapping, Sequence

from data_prep.slides.annotations import CLASSES

SampleCounts = dict[str, list[int]]
"""Slide -> samples of each of CLASSES."""


def share(room: Mapping[str, Sequence[int]], wanted: Mapping[str, int], balance: Sequence[float]) -> SampleCounts:
    """The samples of each slide and class, as many in all as is wanted of all slides, or as there is room for.

    Args:
        room: slide -> how many samples of each of CLASSES it has.
        wanted: slide -> how many samples of it are wanted.
        balance: each class's part of a slide's samples.

    What a class of a slide lacks, the other class of the same two-class label gives (Normal and Benign, InSitu and
    Invasive), then the others; what a slide lacks, the slides with the most room left give, one sample at a time.
    """
    counts = {slide: of_slide(room[slide], number, balance) for slide, number in wanted.items()}
    missing = sum(wanted.values()) - sum(map(sum, counts.values()))
    while missing > 0:
        slide = max(counts, key=lambda name: (sum(room[name]) - sum(counts[name]), name))
        if sum(room[slide]) == sum(counts[slide]):
            break
        counts[slide] = of_slide(room[slide], sum(counts[slide]) + 1, balance)
        missing -= 1
    return counts


def of_slide(room: Sequence[int], number: int, balance: Sequence[float]) -> list[int]:
    """`number` samples of one slide, by class; fewer if there is no room."""
    ideal = [number * part / sum(balance) for part in balance]
    counts = [min(int(each), have) for each, have in zip(ideal, room, strict=True)]
    while sum(counts) < number:
        able = [label for label in range(len(CLASSES)) if counts[label] < room[label] and balance[label] > 0]
        if not able:
            break

        def gain(label: int) -> tuple[float, float]:
            pair = [other for other in range(len(CLASSES)) if other // 2 == label // 2]
            lacking = sum(ideal[other] - counts[other] for other in pair)
            return round(lacking, 9), round(ideal[label] - counts[label], 9)

        counts[max(able, key=gain)] += 1
    return counts


def shortage(room: Mapping[str, Sequence[int]], wanted: int) -> str | None:
    """One line that says how many samples there can be, if those are fewer than are wanted; else None."""
    there = sum(map(sum, room.values()))
    if there >= wanted:
        return None
    by_slide = ", ".join(f"{slide} {sum(counts)}" for slide, counts in room.items())
    return f"{wanted:,} samples are wanted, and there is room for {there:,} that do not overlap more ({by_slide})"
