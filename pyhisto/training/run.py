"""What is asked of a training, whatever trains: `caffe train` (`caffe_train`) or pycaffe (`solver_loop`)."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pyhisto.learning_curve import Point
from pyhisto.training.snapshots import Snapshot


@dataclass(frozen=True)
class Run:
    """A training: of what, from what, into which folder.

    It goes on from the newest whole snapshot, if there is one, and else begins.
    """

    solver: Path
    """The solver's prototxt. Relative paths in it and in the networks start from the working directory."""
    folder: Path
    """For what is recorded: metrics.jsonl, learning_curve.png, run.json and more."""
    weights: Path | None = None
    """A caffemodel to begin from."""
    restart: bool = False
    """Begin anew. Earlier snapshots are removed, or the next run would resume from them."""
    restart_if_changed: bool = False
    """Begin anew if the snapshots are of other settings, networks, data or weights; else that is an error."""
    keep: int | None = None
    """How many whole snapshots stay, the newest, here and of earlier runs; None: all."""


@dataclass(frozen=True)
class Watch:
    """Where progress goes; the program shows it."""

    begin: Callable[[int, int], None]
    """(iteration to start from, max_iter)"""
    point: Callable[[Point], None]
    note: Callable[[str], None]
    """A line for the user."""


@dataclass(frozen=True)
class TrainingOutcome:
    """How a training ended."""

    snapshot: Snapshot
    """The newest whole snapshot: the trained weights, if `stopped` is false."""
    already: bool
    """It had finished before: nothing was run."""
    stopped: bool
    """A signal stopped it early."""
