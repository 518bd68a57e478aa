"""Evidence maps: exact by hand, exact in the paper's network before and after pruning, and beside occlusion."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from pyhisto.errors import InputError
from pyhisto.graph import Graph
from pyhisto.inference.deploy import read_deploy
from pyhisto.inference.engines import caffe_engine, onnx_engine, opencv_engine
from pyhisto.inference.evidence import (
    LinearHead,
    MaxPooling,
    contributions,
    find_head,
    margins,
    mosaic,
    occlusion,
    rank_correlation,
    replaced,
    windows,
)
from pyhisto.proto import read_net, write_weights
from tests.networks import random_weights

Pair = tuple[Path, Path]
ENGINES = pytest.mark.parametrize(
    "make",
    [
        pytest.param(caffe_engine, marks=pytest.mark.caffe, id="caffe"),
        pytest.param(opencv_engine, id="opencv"),
        pytest.param(onnx_engine, id="onnx"),
    ],
)


def test_two_channels_by_hand() -> None:
    features = np.array([[[[1.0, 2.0], [3.0, 4.0]], [[0.0, 8.0], [0.0, 0.0]]]])
    head = LinearHead("f", "s", (2, 2), np.array([[4.0, 0.0], [-4.0, 1.0]]), np.array([0.5, -0.5]))
    maps = contributions(head, features)
    assert maps.tolist() == [[[[1.0, 2.0], [3.0, 4.0]], [[-1.0, 0.0], [-3.0, -4.0]]]]
    # Means of the channels: 2.5 and 2; scores 4 * 2.5 + 0.5 and -4 * 2.5 + 2 - 0.5.
    assert (maps.sum(axis=(2, 3)) + head.bias).tolist() == [[10.5, -8.5]]
    assert margins(np.array([[10.5, -8.5]])).tolist() == [[19.0, -19.0]]
    assert margins(np.array([[3.0, 6.0, 0.0]])).tolist() == [[0.0, 4.5, -4.5]]


def test_a_max_pooling_is_followed_back_to_the_position_that_it_took() -> None:
    features = np.array([[[[1.0, 5.0, 5.0], [0.0, 2.0, 7.0], [6.0, 0.0, 0.0]]]])
    # Windows of 2, one apart by 2, ceil: {1,5,0,2}, {5,7}, {6,0}, {0}: the last three end at the border.
    head = LinearHead("f", "s", (3, 3), np.array([[2.0], [-2.0]]), np.zeros(2), MaxPooling(2, 2, 0, (2, 2)))
    maps = contributions(head, features)
    assert maps[0, 0].tolist() == [[0.0, 2.5, 0.0], [0.0, 0.0, 3.5], [3.0, 0.0, 0.0]]
    assert maps[0, 1].sum() == -9.0  # minus 2 times the mean of 5, 7, 6, 0


def test_maps_of_patches_are_laid_side_by_side() -> None:
    boxes = [(column / 5, row / 3, (column + 1) / 5, (row + 1) / 3) for column in range(5) for row in range(3)]
    whole = mosaic([(box, np.full((2, 2), number)) for number, box in enumerate(boxes)])
    assert whole[::2, ::2].tolist() == [[0, 3, 6, 9, 12], [1, 4, 7, 10, 13], [2, 5, 8, 11, 14]]
    assert mosaic([((0.0, 0.0, 1.0, 1.0), np.eye(3))]).tolist() == np.eye(3).tolist()


def check_sums(model: Path, weights: Path, make: object, size: int) -> tuple[int, int]:
    """The map's positions and the bias add up to the scores, to 1e-4, and the scores to the probabilities."""
    deploy = read_deploy(model, weights)
    head = find_head(deploy)
    engine = make(deploy, None, (head.features, head.logits))  # type: ignore[operator]
    batch = np.random.default_rng(2).uniform(-120, 120, (3, 3, size, size)).astype(np.float32)
    probabilities, features, logits = engine.with_blobs(batch, head.features, head.logits)
    maps = contributions(head, features)
    assert maps.shape == (3, 2, *head.grid)
    assert_allclose(maps.sum(axis=(2, 3)) + head.bias, logits.reshape(3, 2), atol=1e-4)
    assert_allclose(1 / (1 + np.exp(-margins(logits.reshape(3, 2))[:, 1])), probabilities[:, 1], atol=1e-5)
    return head.grid


@ENGINES
def test_sum_and_bias_are_the_score_before_and_after_pruning(
    narrow: Pair, root: Path, tmp_path: Path, make: object
) -> None:
    assert check_sums(*narrow, make, 224) == (14, 14)
    command = [
        sys.executable,
        root / "tools/prune.py",
        "--model",
        narrow[0],
        "--weights",
        narrow[1],
        "--criterion",
        "l1",
    ]
    options = ["--ratio", "0.5", "--no-proof", "--out", tmp_path / "pruned"]
    done = subprocess.run([*map(str, [*command, *options])], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    weights = next((tmp_path / "pruned").glob("*.caffemodel"))
    assert check_sums(tmp_path / "pruned/deploy.prototxt", weights, make, 224) == (14, 14)


def test_another_end_is_refused(small: Pair) -> None:
    with pytest.raises(InputError, match="layer 'pool' is no average pooling over the whole map"):
        find_head(read_deploy(*small))


def test_windows_by_hand() -> None:
    held = np.zeros((2, 3), int)
    for rows, columns in windows((2, 3)):
        held[rows, columns] += 1
    assert len(windows((2, 3))) == 3 * 4 and (held == 4).all()
    assert windows((2, 3))[0] == (slice(0, 1), slice(0, 1)) and windows((2, 3))[5] == (slice(0, 2), slice(0, 2))


def test_pieces_of_the_image_take_the_place_of_positions() -> None:
    image = np.arange(6 * 9, dtype=np.float32).reshape(1, 6, 9)
    copies = replaced(image, (2, 3), slice(1, 2), slice(0, 2), np.random.default_rng(5))
    again = np.random.default_rng(5)
    for copy in copies:
        y, x = int(again.integers(0, 4)), int(again.integers(0, 4))
        assert_array_equal(copy[0, 3:6, 0:6], image[0, y : y + 3, x : x + 6])
        assert_array_equal(copy[0, :3], image[0, :3])
        assert_array_equal(copy[0, :, 6:], image[0, :, 6:])


def test_occlusion_agrees_if_nothing_overlaps(small: Pair) -> None:
    """A 1 x 1 convolution sees one pixel: another pixel there takes away what it adds, and adds what the other does."""
    text = small[0].read_text().replace("kernel_size: 5", "kernel_size: 1")
    small[0].write_text(text.replace("kernel_size: 4 stride: 4", "global_pooling: true"))
    write_weights(small[1], random_weights([Graph.build(read_net(small[0]))]))
    deploy = read_deploy(*small)
    head = find_head(deploy)
    engine = opencv_engine(deploy, None, (head.features, head.logits))
    batch = np.random.default_rng(3).uniform(-100, 100, (2, 3, 16, 16)).astype(np.float32)
    _, features = engine.with_blobs(batch, head.features)
    exact = margins(contributions(head, features))
    falls = occlusion(engine, head, batch)
    for number in range(len(batch)):
        generator, expected, held = np.random.default_rng(0), np.zeros_like(exact[number]), np.zeros((16, 16))
        for rows, columns in windows((16, 16)):
            # Of pixels' numbers in place of colours, the pieces' own: what each adds is known.
            places = np.arange(256, dtype=np.float32).reshape(1, 16, 16)
            pieces = replaced(places, (16, 16), rows, columns, generator)[:, 0, rows, columns].astype(int)
            there = exact[number].reshape(2, -1)[:, pieces].mean(axis=1)
            fall = exact[number][:, rows, columns].sum(axis=(1, 2)) - there.sum(axis=(1, 2))
            expected[:, rows, columns] += fall[:, np.newaxis, np.newaxis]
            held[rows, columns] += 1
        assert_allclose(falls[number], expected / held, atol=1e-4)
    assert rank_correlation(falls[:, 1], exact[:, 1]) > 0.5  # each has a part of its neighbours'


def test_rank_correlation_by_hand() -> None:
    assert rank_correlation(np.array([1.0, 2, 3, 4]), np.array([10.0, 20, 40, 30])) == pytest.approx(0.8)
    assert np.isnan(rank_correlation(np.zeros(3), np.array([1.0, 2, 3])))
