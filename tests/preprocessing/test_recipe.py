"""The recipe: patches where they belong, one answer for training and prediction, files that come back."""

import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pyhisto.errors import InputError
from pyhisto.lmdb_folder import Provenance
from pyhisto.preprocessing.encoding import ENCODINGS, decode, encode
from pyhisto.preprocessing.images import Image
from pyhisto.preprocessing.macenko import Macenko
from pyhisto.preprocessing.patches import IDS, grid_patches, patch_box, random_places, window_places
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.preprocessing.reinhard import Reinhard
from pyhisto.preprocessing.stain import Stain


def picture(height: int = 46, width: int = 70) -> Image:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def test_patches_are_named_row_then_column_and_ordered_column_by_column() -> None:
    # The authors' lists: _11 _21 _31 _12 ...
    assert IDS == ("11", "21", "31", "12", "22", "32", "13", "23", "33", "14", "24", "34", "15", "25", "35")
    image = picture(6, 10)  # 3 x 5 patches of 2
    patches = dict(grid_patches(image, 2))
    assert np.array_equal(patches["11"], image[:2, :2])
    assert np.array_equal(patches["21"], image[2:4, :2])
    assert np.array_equal(patches["35"], image[4:, 8:])


def test_patches_tile_the_image() -> None:
    image = picture(9, 15)
    by_name = dict(grid_patches(image, 3))
    rows = [np.hstack([by_name[f"{row}{column}"] for column in range(1, 6)]) for row in range(1, 4)]
    assert np.array_equal(np.vstack(rows), image)


def test_global_is_the_resized_image() -> None:
    ((name, got),) = Preprocessing("global", 16).inputs(picture())
    assert name == ""
    assert np.array_equal(got, cv2.resize(picture(), (16, 16), interpolation=cv2.INTER_LINEAR))


def test_local_is_cut_from_five_by_three_sizes() -> None:
    patches = Preprocessing("local", 16, interpolation="area").inputs(picture())
    whole = cv2.resize(picture(), (80, 48), interpolation=cv2.INTER_AREA)
    assert [name for name, _ in patches] == list(IDS)
    assert np.array_equal(dict(patches)["34"], whole[32:48, 48:64])


def test_sliding_windows_overlap_by_half() -> None:
    # 350 x 230, windows of 64 every 32: (350 - 64) // 32 + 1 = 9 columns, (230 - 64) // 32 + 1 = 6 rows
    assert len(window_places(64)) == 54
    recipe = Preprocessing("window", 64)
    patches = recipe.inputs(picture(230, 350))
    assert len(patches) == recipe.patches_per_image == 54
    assert [name for name, _ in patches][8:11] == ["y0x256", "y32x0", "y32x32"]
    assert np.array_equal(dict(patches)["y32x64"], picture(230, 350)[32:96, 64:128])


def test_crops_lie_at_both_ends_and_in_the_middle_of_the_longer_side() -> None:
    # 60 x 80 at a shorter side of 30: 30 x 40; squares from columns 0, (40 - 30) // 2 = 5 and 10.
    image = picture(60, 80)
    small = cv2.resize(image, (40, 30), interpolation=cv2.INTER_AREA)
    crops = Preprocessing("crops", 30, interpolation="area").inputs(image)
    assert [name for name, _ in crops] == ["left", "centre", "right"]
    for (_, crop), left in zip(crops, (0, 5, 10), strict=True):
        assert np.array_equal(crop, small[:, left : left + 30])
    ((name, centre),) = Preprocessing("centre", 30, interpolation="area").inputs(image)
    assert name == "centre"
    assert np.array_equal(centre, crops[1][1])
    # Upright: the same along the height.
    upright = dict(Preprocessing("crops", 30, interpolation="area").inputs(np.rot90(image).copy()))
    assert upright["left"].shape == upright["right"].shape == (30, 30, 3)
    assert np.array_equal(Preprocessing("centre", 30).inputs(image[:30, :30])[0][1], image[:30, :30])


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (768, 896), (1536, 2048), (460, 700), (5, 4)])
def test_a_square_is_cut_from_an_image_of_any_shape(shape: tuple[int, int]) -> None:
    recipe = Preprocessing("crops", 13)
    crops = recipe.inputs(picture(*shape))
    assert [pixels.shape for _, pixels in crops] == [(13, 13, 3)] * recipe.patches_per_image


def test_a_thousand_random_patches_are_a_function_of_the_image() -> None:
    image = picture(230, 350)
    recipe = Preprocessing("random", 32)
    patches = recipe.inputs(image)
    assert len({name for name, _ in patches}) == recipe.patches_per_image == 1000
    assert random_places(image, 32) == random_places(image.copy(), 32) != random_places(255 - image, 32)
    for name, pixels in patches[::100]:
        left, top, right, bottom = patch_box(name, 32)
        inside = image[round(top * 230) : round(bottom * 230), round(left * 350) : round(right * 350)]
        assert np.array_equal(pixels, inside)


def test_fewer_random_patches_are_the_recipes_and_are_kept_in_its_file(tmp_path: Path) -> None:
    recipe = Preprocessing("random", 32, random_patches=7)
    assert len(recipe.inputs(picture(230, 350))) == recipe.patches_per_image == 7
    recipe.save(tmp_path)
    assert Preprocessing.load(tmp_path) == recipe


def test_a_patch_s_name_says_where_it_is() -> None:
    assert patch_box("", 224) == (0, 0, 1, 1)
    assert patch_box("24", 224) == (3 / 5, 1 / 3, 4 / 5, 2 / 3)  # row 2, column 4
    for bad in ("41", "x1y1", "a0"):
        with pytest.raises(InputError, match="not the name of a patch"):
            patch_box(bad, 224)


def test_stain_comes_before_the_resize() -> None:
    stain = Reinhard((180.0, 140.0, 120.0), (30.0, 8.0, 6.0))
    ((_, got),) = Preprocessing("global", 16, stain=stain).inputs(picture())
    assert np.array_equal(got, cv2.resize(stain(picture()), (16, 16)))


def test_blob_is_what_caffe_s_transformer_makes() -> None:
    image = np.zeros((2, 2, 3), np.uint8)
    image[0, 1] = (10, 20, 30)  # B, G, R at row 0, column 1
    blob = Preprocessing("global", 2, (1.0, 2.0, 3.5)).blob([image, image])
    assert blob.shape == (2, 3, 2, 2)
    assert blob.dtype == np.float32
    assert blob[1, :, 0, 1].tolist() == [9.0, 18.0, 26.5]
    assert blob[0, :, 1, 1].tolist() == [-1.0, -2.0, -3.5]


def test_a_network_sees_the_pixels_that_are_left_of_a_jpeg_record() -> None:
    seen = {record: Preprocessing("global", 16, record=record).inputs(picture())[0][1] for record in ENCODINGS}
    assert np.array_equal(seen["raw"], cv2.resize(picture(), (16, 16)))
    assert np.array_equal(seen["png"], seen["raw"])
    for record in ("jpeg444", "jpeg"):
        assert np.array_equal(seen[record], decode(encode(seen["raw"], record)))
    # Colour at half the resolution is further off.
    off = {record: np.abs(pixels.astype(int) - seen["raw"]).mean() for record, pixels in seen.items()}
    assert 0 < off["jpeg444"] < off["jpeg"]


def test_the_record_of_an_older_file(tmp_path: Path) -> None:
    older = Preprocessing("global", provenance=Provenance(others={"record": "jpeg"})).to_json()
    del older["record"]
    (tmp_path / "p.json").write_text(json.dumps(older))
    assert Preprocessing.load(tmp_path / "p.json").record == "jpeg"


@pytest.mark.parametrize(
    "stain",
    [
        None,
        Reinhard((1.5, 2.5, 3.5), (1.0, 2.0, 3.0), "reinhard-float", "t.png"),
        Macenko(((0.6, 0.1), (0.7, 0.9), (0.3, 0.2)), (1.9, 1.0), "t.png"),
    ],
)
def test_what_is_saved_is_loaded(tmp_path: Path, stain: Stain | None) -> None:
    recipe = Preprocessing(
        "local", 64, (200.123456789, 1 / 3, 7.0), stain, "area", Provenance(seed=3), record="jpeg444"
    )
    recipe.save(tmp_path)
    assert Preprocessing.load(tmp_path) == recipe
    assert Preprocessing.load(tmp_path / "preprocessing.json") == recipe


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"branch": "both"}, "branch"),
        ({"size": 0}, "size"),
        ({"size": "224"}, "size"),
        ({"size": 10**6}, "size"),
        ({"mean": [1, 2]}, "mean"),
        ({"mean": [1, 2, float("nan")]}, "not valid JSON: NaN"),
        ({"mean": None}, "mean"),
        ({"channel_order": "RGB"}, "channel_order"),
        ({"interpolation": ["linear"]}, "interpolation"),
        ({"stain": {}}, "stain"),
        ({"record": "jpg"}, "record"),
        ({"provenance": []}, "provenance"),
        ({"branch": "window", "size": 200}, "size"),
    ],
)
def test_bad_file_is_named(tmp_path: Path, change: dict[str, Any], complaint: str) -> None:
    path = tmp_path / "p.json"
    path.write_text(json.dumps({**Preprocessing("global").to_json(), **change}))
    with pytest.raises(InputError, match=rf"p\.json: {complaint}"):
        Preprocessing.load(path)


@pytest.mark.parametrize("text", ["", "[]", "{", "[" * 10**5, "\udcff"])
def test_foreign_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "p.json"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=r"p\.json: not"):
        Preprocessing.load(path)
