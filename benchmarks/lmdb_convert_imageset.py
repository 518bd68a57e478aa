"""Plain resize and JPEG records: build_lmdb.py against Caffe's own convert_imageset, same images, in one run."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from benchmarks.lmdb_images import build_command, make_images, seconds
from data_prep.lmdbs.writer import decode_record
from pyhisto.cli import Parser, run
from pyhisto.errors import InputError
from pyhisto.lmdb_folder import LmdbFolder

TARGET = 2.0


def main() -> None:
    """Measure both, compare their records, print the ratio."""
    parser = Parser(description=__doc__)
    parser.add_argument("--source", type=Path, metavar="DIR", help="PNG to use (default: synthetic ones)")
    parser.add_argument("--images", type=int, default=2000, help="(default 2000)")
    parser.add_argument("--size", type=int, default=224)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    program = shutil.which("convert_imageset", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if program is None:
        raise InputError("convert_imageset is not on the PATH: run `make setup`")
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        rows = make_images(folder, arguments.source, arguments.images)
        (folder / "list.txt").write_text("".join(f"{row.path} {row.label}\n" for row in rows))
        size = [f"-resize_height={arguments.size}", f"-resize_width={arguments.size}"]
        theirs = seconds(
            [
                program,
                *size,
                "-encoded",
                "-encode_type=jpg",
                f"{folder}/images/",
                folder / "list.txt",
                folder / "theirs",
            ]
        )
        plain = ["--branch", "global", "--size", arguments.size, "--stain", "none", "--augment", 0, "--record", "jpeg"]
        ours = seconds(build_command(folder, "ours", arguments.workers, *plain))
        pixels = {
            key[11:].removesuffix("_"): decode_record(record)[0]
            for key, record in LmdbFolder(folder / "ours/train").items()
        }
        largest = max(
            int(abs(decode_record(record)[0].astype(int) - pixels[key[9:]]).max())
            for key, record in LmdbFolder(folder / "theirs").items()
        )
    print(f"convert_imageset {theirs:.1f} s, build_lmdb.py {ours:.1f} s with {arguments.workers} workers")
    print(f"largest difference of a level between the decoded records: {largest}")
    print(f"ratio {theirs / ours:.2f} (at least {TARGET} wanted)")


if __name__ == "__main__":
    run(main)
