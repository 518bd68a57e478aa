"""Building LMDBs: the order of the steps, the mean, independence of the number of workers, bad input."""

import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from data_prep import build_lmdb
from data_prep.lmdbs.augment import augmentations
from data_prep.lmdbs.verify import caffe_records
from data_prep.lmdbs.writer import decode_record
from pyhisto.lmdb_folder import LmdbFolder
from pyhisto.manifest import Row, read_manifest, write_manifest
from pyhisto.preprocessing.encoding import ENCODINGS
from pyhisto.preprocessing.images import read_image
from pyhisto.preprocessing.patches import IDS
from pyhisto.preprocessing.recipe import Preprocessing
from pyhisto.preprocessing.reinhard import Reinhard
from pyhisto.proto import BlobProto, blob_array, read_binary

KEY = re.compile(r"(\d{10})_(.+\.png)_(\d\d)?(a\d)?")
KEY_OF_CROPS = re.compile(r"\d{10}_(.+\.png)_(\w+)")


def options(tree: Path) -> list[object]:
    folder = ["--root", tree / "BreaKHis_v1", "--folds", tree / "breakhis_folds"]
    return ["--dataset", "breakhis", *folder, "--fold", 1, "--magnification", 100]


def run(root: Path, program: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "data_prep" / program), *map(str, arguments)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


def run_here(*command: object) -> None:
    """Run build_lmdb.py in this process, which spares the start of another."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [*map(str, command)])
        build_lmdb.main()


def build(tree: Path, out: Path, *arguments: object) -> Path:
    """Run build_lmdb.py with small records that lose nothing, unless the arguments say otherwise."""
    run_here("build_lmdb.py", *options(tree), "--out", out, "--size", 16, "--record", "png", "--workers", 1, *arguments)
    return out


@contextmanager
def complains(root: Path, program: str, *arguments: object) -> Iterator[list[str]]:
    """Run a program that must exit 2; the last line of its stderr, put into the list, is the complaint."""
    done = run(root, program, *arguments)
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    yield [done.stderr.replace("\r", "\n").splitlines()[-1]]


def test_every_record_is_what_the_steps_give(tree: Path, tmp_path: Path) -> None:
    """Decode, normalise, augment, resize, cut: recomputed here record by record."""
    out = build(tree, tmp_path / "out", "--branch", "local", "--augment", 2)
    rows = {row.path: row for row in read_manifest(out / "manifest.csv")}
    for split, copies in (("train", ["a0", "a1"]), ("val", [None]), ("test", [None])):
        recipe = Preprocessing.load(out / split)
        paths = {path for path, row in rows.items() if row.split == split}
        seen = set()
        for key, record in LmdbFolder(out / split).items():
            match = KEY.fullmatch(key)
            assert match
            image = recipe.normalise(read_image(tree / "BreaKHis_v1" / match[2]))
            turned = [*augmentations(image, 0, match[2], 2)][int(match[4][1:])] if match[4] else image
            pixels, label = decode_record(record)
            assert np.array_equal(pixels, dict(recipe.cut(turned))[match[3]])
            assert label == rows[match[2]].label
            seen.add(match.groups()[1:])
        assert seen == {(path, patch, copy) for path in paths for patch in IDS for copy in copies}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_prediction_sees_what_the_lmdb_holds(tree: Path, tmp_path: Path, encoding: str) -> None:
    out = build(tree, tmp_path / "out", "--branch", "global", "--record", encoding)
    recipe = Preprocessing.load(out / "test")
    for key, record in LmdbFolder(out / "test").items():
        path = key.split("_", 1)[1].removesuffix("_")
        ((_, pixels),) = recipe.inputs(read_image(tree / "BreaKHis_v1" / path))
        assert np.array_equal(pixels, decode_record(record)[0])


def test_training_records_are_shuffled_and_keys_count_up(tree: Path, tmp_path: Path) -> None:
    out = build(tree, tmp_path / "out", "--branch", "local", "--augment", 2)
    keys = [key for key, _ in LmdbFolder(out / "train").items()]
    assert [int(key[:10]) for key in keys] == list(range(2 * 2 * 2 * 15))  # patients, images, copies, patches
    labels = [decode_record(record)[1] for _, record in LmdbFolder(out / "train").items()]
    changes = sum(a != b for a, b in pairwise(labels))
    assert changes > 40  # of 119; class-sorted it would be 1; about half is expected
    assert [key[11:] for key, _ in LmdbFolder(out / "test").items()] == sorted(
        (key[11:] for key, _ in LmdbFolder(out / "test").items()), key=lambda key: (key[:-2], IDS.index(key[-2:]))
    )


@pytest.mark.parametrize(("encoding", "apart"), [("jpeg444", 1.0), ("raw", 1e-4)])
def test_mean_is_the_mean_of_the_training_records(tree: Path, tmp_path: Path, encoding: str, apart: float) -> None:
    """Of JPEG: before they are encoded, which moves single pixels by levels and the mean by a fraction of one."""
    out = build(tree, tmp_path / "out", "--branch", "global", "--record", encoding)
    images = np.array([decode_record(record)[0] for _, record in LmdbFolder(out / "train").items()], np.float64)
    for split in ("train", "val", "test"):
        mean = blob_array(read_binary(out / split / "mean.binaryproto", BlobProto))
        assert mean.shape == (1, 3, 16, 16)
        assert mean[0] == pytest.approx(images.mean(0).transpose(2, 0, 1), abs=20 * apart)
        assert Preprocessing.load(out / split).mean == pytest.approx(images.mean((0, 1, 2)), abs=apart)
        assert Preprocessing.load(out / split).mean == pytest.approx(mean[0].mean((1, 2)))


def test_workers_do_not_change_a_byte(tree: Path, tmp_path: Path) -> None:
    one = build(tree, tmp_path / "1", "--branch", "local", "--augment", 1, "--record", "jpeg")
    three = build(tree, tmp_path / "3", "--branch", "local", "--augment", 1, "--record", "jpeg", "--workers", 3)
    files = sorted(path.relative_to(one) for path in one.rglob("*") if path.is_file() and path.name != "lock.mdb")
    assert len(files) == 1 + 3 * 4  # manifest.csv; data.mdb, preprocessing.json, mean.binaryproto, manifest.csv a split
    assert all((one / file).read_bytes() == (three / file).read_bytes() for file in files)


def test_macenko_does_not_depend_on_workers_either(tree: Path, tmp_path: Path) -> None:
    one, two = (
        build(tree, tmp_path / str(n), "--branch", "global", "--augment", 1, "--stain", "macenko", "--workers", n)
        for n in (1, 2)
    )
    for split in ("train", "val", "test"):
        assert (one / split / "data.mdb").read_bytes() == (two / split / "data.mdb").read_bytes()
    assert Preprocessing.load(one / "train").stain == Preprocessing.load(two / "train").stain


AUTHORS = "SOB_B_A-14-22549G-40-035.png"


def test_stain_target(tree: Path, tmp_path: Path) -> None:
    """By default the authors' image, and the training images' mean, said to be that, if it is not there."""

    def target(*arguments: object) -> Reinhard:
        out = tmp_path / str(len(list(tmp_path.iterdir())))
        stain = Preprocessing.load(build(tree, out, "--branch", "global", "--augment", 0, *arguments) / "val").stain
        assert isinstance(stain, Reinhard)
        return stain

    # 4 training patients, 2 of them to validation, 2 images each
    mean = target("--stain-target", "mean")
    assert mean.source == "mean of 4 training images"
    stands_in = target()
    assert stands_in.source == f"mean of 4 training images, in place of the authors' {AUTHORS}, which is not there"
    assert (stands_in.mean, stands_in.std) == (mean.mean, mean.std)
    authors = next(tree.rglob("*14-1-40-001.png"))
    given = target("--stain-target", authors)
    cv2.imwrite(str(authors.with_name(AUTHORS)), read_image(authors))
    assert target() == replace(given, source=AUTHORS)
    assert target("--stain-target", "mean") == mean
    recipe = tmp_path / "p.json"
    Preprocessing("local", stain=mean).save(recipe)
    assert target("--stain-target", recipe) == mean


def test_a_manifest_gets_the_stain_target_of_its_data_set(tree: Path, tmp_path: Path) -> None:
    """The workflow builds from manifests: the same target, to the bit, as from the data set itself."""
    authors = next(tree.rglob("*14-1-40-001.png"))
    cv2.imwrite(str(authors.with_name(AUTHORS)), read_image(authors))
    small = ["--branch", "global", "--size", 16, "--augment", 0, "--record", "png", "--workers", 1]
    by_name = build(tree, tmp_path / "by_name", "--branch", "global", "--augment", 0)
    run_here("build_lmdb.py", "--manifest", by_name / "manifest.csv", "--root", tree / "BreaKHis_v1", *small,
             "--out", tmp_path / "by_manifest")  # fmt: skip
    stains = [Preprocessing.load(out / "train").stain for out in (by_name, tmp_path / "by_manifest")]
    assert stains[0] == stains[1] and stains[0] is not None and stains[0].source == AUTHORS


def test_without_validation_a_monitor_takes_no_training_patient_away(root: Path, tree: Path, tmp_path: Path) -> None:
    """4 patients of 2 images train, all of them, and some of their images, as they are, make the monitor."""
    small = ["--branch", "global", "--augment", 3]
    out = build(tree, tmp_path / "out", *small, "--val-fraction", 0, "--monitor", 4)
    assert sorted(path.name for path in out.iterdir()) == ["manifest.csv", "monitor", "test", "train"]
    rows = read_manifest(out / "manifest.csv")
    assert {row.patient for row in rows if row.split == "train"} == {"14-1", "14-2", "15-4", "15-5"}
    records = dict(LmdbFolder(out / "monitor").items())
    shown = [decode_record(record) for record in records.values()]
    assert sorted(label for _, label in shown) == [0, 0, 1, 1]
    trained = {Path(row.path).name: row for row in rows if row.split == "train"}
    for key, (pixels, label) in zip(records, shown, strict=True):
        name = next(name for name in trained if f"{name}_" in key)
        recipe = Preprocessing.load(out / "monitor")
        ((_, expected),) = recipe.cut(recipe.normalise(read_image(tree / "BreaKHis_v1" / trained[name].path)))
        assert np.array_equal(pixels, expected) and label == trained[name].label
    # With validation there is none, nor if it is not wanted.
    assert not (build(tree, tmp_path / "with", *small) / "monitor").exists()
    assert not (build(tree, tmp_path / "none", *small, "--val-fraction", 0, "--monitor", 0) / "monitor").exists()


def test_lmdbs_of_some_splits_alone(tree: Path, tmp_path: Path) -> None:
    """Predictions are made of images: the manifest has the test images, and no LMDB has them."""
    out = build(tree, tmp_path / "out", "--branch", "global", "--augment", 0, "--splits", "val")
    assert sorted(path.name for path in out.iterdir()) == ["manifest.csv", "train", "val"]
    assert {row.split for row in read_manifest(out / "manifest.csv")} == {"train", "val", "test"}


def test_bad_input_is_one_line_and_leaves_nothing(root: Path, tree: Path, tmp_path: Path) -> None:
    out, build_options = tmp_path / "out", ["--branch", "global", "--out", tmp_path / "out", "--workers", 1]
    cases: list[tuple[list[object], str]] = [
        ([*options(tree), "--size", 0], "--size 0"),
        ([*options(tree)[:4]], "say how to split"),
        ([*options(tree)[:6]], "--folds needs --fold"),
        (["--manifest", tmp_path / "none.csv", "--root", tree], r"none\.csv: cannot be read"),
        ([*options(tree), "--stain-target", tmp_path / "none.png"], r"none\.png: cannot be read"),
    ]
    for arguments, complaint in cases:
        with complains(root, "build_lmdb.py", *arguments, *build_options) as said:
            assert re.search(complaint, said[0]), said
    broken = next(tree.rglob("SOB_M_DC-15-4-100-001.png"))
    broken.write_bytes(broken.read_bytes()[:500])
    with complains(root, "build_lmdb.py", *options(tree), *build_options) as said:
        assert "SOB_M_DC-15-4-100-001.png: the image is cut short" in said[0]
    manifest, header = tmp_path / "m.csv", "path,label,patient,slide,magnification,subtype,split\n"
    (tmp_path / "secret.png").write_bytes(broken.read_bytes())
    (tree / "BreaKHis_v1/link.png").symlink_to(tmp_path / "secret.png")
    for path, complaint in (("../../secret.png", "not inside the root"), ("link.png", "leads outside the root")):
        manifest.write_text(f"{header}{path},0,p,s,100,A,train\nb.png,1,q,s2,100,DC,train\n")
        with complains(
            root, "build_lmdb.py", "--manifest", manifest, "--root", tree / "BreaKHis_v1", *build_options
        ) as said:
            assert complaint in said[0]
    assert not out.exists()
    assert not [path for path in tmp_path.iterdir() if "partial" in path.name]
    out.mkdir()
    with complains(root, "build_lmdb.py", *options(tree), *build_options) as said:
        assert "exists already" in said[0]


def test_manifest_program_and_empty_class(root: Path, tree: Path, tmp_path: Path) -> None:
    done = run(root, "make_manifest.py", *options(tree), "--out", tmp_path / "m.csv")
    assert done.returncode == 0, done.stderr
    assert "train: 2 of class 0 (1 patients), 2 of class 1 (1 patients)" in done.stdout.splitlines()
    assert done.stdout.count("the only one validates") == 2  # each class has two training patients, of two subtypes
    assert {row.split for row in read_manifest(tmp_path / "m.csv")} == {"train", "val", "test"}
    for path in tree.rglob("SOB_B_*.png"):
        path.unlink()
    with complains(root, "make_manifest.py", *options(tree), "--allow-missing", "--out", tmp_path / "n.csv") as said:
        assert "class 0 has no image in train" in said[0]
    assert not (tmp_path / "n.csv").exists()


@pytest.mark.caffe
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_caffe_reads_the_same_pixels_and_the_same_mean(tree: Path, tmp_path: Path, encoding: str) -> None:
    import caffe

    out = build(tree, tmp_path / "out", "--branch", "local", "--augment", 1, "--record", encoding)
    ours = [decode_record(record) for _, record in LmdbFolder(out / "train").items()]
    for (image, label), (caffe_s_image, caffe_s_label) in zip(ours, caffe_records(out / "train", 16), strict=False):
        assert np.array_equal(image, caffe_s_image)
        assert label == caffe_s_label
    program = Path(caffe.__file__).parents[2] / "bin" / "compute_image_mean"
    if encoding not in ("png", "raw"):
        return  # its mean is that of the pixels before they were encoded
    if not program.is_file():
        pytest.skip("this Caffe has no compute_image_mean program")
    subprocess.run([program, "-backend", "lmdb", out / "train", tmp_path / "mean"], check=True, capture_output=True)
    assert (tmp_path / "mean").read_bytes() == (out / "train/mean.binaryproto").read_bytes()


@pytest.mark.caffe
def test_convert_imageset_gives_the_same_pixels(tree: Path, tmp_path: Path) -> None:
    """Plain resize without stain or augmentation is Caffe's own tool's work, pixel for pixel."""
    import caffe

    program = Path(caffe.__file__).parents[2] / "bin" / "convert_imageset"
    if not program.is_file():
        pytest.skip("this Caffe has no convert_imageset program")
    out = build(tree, tmp_path / "out", "--branch", "global", "--stain", "none", "--record", "raw")
    rows = [row for row in read_manifest(out / "manifest.csv") if row.split == "test"]
    (tmp_path / "list.txt").write_text("".join(f"{row.path} {row.label}\n" for row in rows))
    size = ["-resize_height", "16", "-resize_width", "16"]
    place = [f"{tree / 'BreaKHis_v1'}/", tmp_path / "list.txt", tmp_path / "caffe_s"]
    subprocess.run([str(program), *size, *map(str, place)], check=True, capture_output=True)
    ours, caffe_s = (list(LmdbFolder(folder).items()) for folder in (out / "test", tmp_path / "caffe_s"))
    for (_, one), (_, other) in zip(ours, caffe_s, strict=True):
        assert np.array_equal(decode_record(one)[0], decode_record(other)[0])
        assert decode_record(one)[1] == decode_record(other)[1]


def first_batch(lmdb: Path, recipe: Preprocessing, count: int) -> NDArray[np.float32]:
    """The first `count` records as Caffe's Data layer gives them to a network, the recipe's mean subtracted."""
    import caffe

    means = " ".join(f"mean_value: {level!r}" for level in recipe.mean)
    with tempfile.TemporaryDirectory() as place:
        net = Path(place, "net.prototxt")
        net.write_text(
            'layer { name: "d" type: "Data" top: "data" top: "label" '
            f'data_param {{ source: "{lmdb}" backend: LMDB batch_size: {count} }} transform_param {{ {means} }} }}'
        )
        reader = caffe.Net(str(net), caffe.TEST)
    reader.forward()
    return np.array(reader.blobs["data"].data)


@pytest.mark.caffe
@pytest.mark.parametrize("encoding", ENCODINGS)
def test_caffe_trains_on_what_a_prediction_sees(tree: Path, tmp_path: Path, encoding: str) -> None:
    """The Data layer with the recipe's mean against `Preprocessing.blob` of the image file: equal to the last bit."""
    out = build(tree, tmp_path / "out", "--branch", "local", "--augment", 0, "--record", encoding)
    recipe = Preprocessing.load(out / "test")
    paths = dict.fromkeys(KEY.fullmatch(key)[2] for key, _ in LmdbFolder(out / "test").items())  # type: ignore[index]
    ours = [recipe.blob([p for _, p in recipe.inputs(read_image(tree / "BreaKHis_v1" / path))]) for path in paths]
    assert np.array_equal(first_batch(out / "test", recipe, 15 * len(ours)), np.concatenate(ours))


@pytest.mark.caffe
@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize(("branch", "size", "folder"), [("local", 224, "BreaKHis_v1"), ("global", 64, "pcam/test")])
def test_caffe_trains_on_what_a_prediction_sees_of_real_images(
    shared_data: Path, tmp_path: Path, encoding: str, branch: str, size: int, folder: str
) -> None:
    """As above, on tissue: 8 images, 224 x 224 pixels out of BreaKHis's PNG, 64 x 64 out of PatchCamelyon's JPEG."""
    found = [path for path in sorted((shared_data / folder).rglob("*")) if path.suffix in (".png", ".jpg")]
    paths = [str(path.relative_to(shared_data)) for path in found[:: len(found) // 8][:8]]
    rows = [Row(path, number % 2, patient=f"p{number}", split="train") for number, path in enumerate(paths)]
    write_manifest(tmp_path / "m.csv", rows)
    from_manifest = ["--manifest", tmp_path / "m.csv", "--root", shared_data, "--branch", branch, "--size", size]
    settings = ["--augment", 0, "--record", encoding, "--workers", 1, "--out", tmp_path / "out"]
    run_here("build_lmdb.py", *from_manifest, *settings)
    recipe = Preprocessing.load(tmp_path / "out/train")
    seen = {(path, patch): pixels for path in paths for patch, pixels in recipe.inputs(read_image(shared_data / path))}
    keys = [key.partition("_")[2].rpartition("_") for key, _ in LmdbFolder(tmp_path / "out/train").items()]
    ours = recipe.blob([seen[path, patch] for path, _, patch in keys])
    assert np.array_equal(first_batch(tmp_path / "out/train", recipe, len(keys)), ours)


def test_squares_and_a_mean_from_elsewhere(tree: Path, tmp_path: Path) -> None:
    out = build(tree, tmp_path / "out", "--branch", "crops", "--augment", 0, "--mean", 103.53, 116.28, 123.675)
    recipe = Preprocessing.load(out / "val")
    assert recipe.mean == (103.53, 116.28, 123.675)
    rows = {row.path: row for row in read_manifest(out / "manifest.csv")}
    keys = [KEY_OF_CROPS.fullmatch(key) for key, _ in LmdbFolder(out / "val").items()]
    assert len(keys) == 3 * sum(row.split == "val" for row in rows.values())
    assert {match[2] for match in keys if match} == {"left", "centre", "right"}
