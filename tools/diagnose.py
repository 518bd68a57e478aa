#!/usr/bin/env python3
"""Ask a model (tools/bundle.py) about new images and whole slides, which need no labels.

PATH is an image (PNG, JPEG, TIFF of any size), a whole slide, a folder of them, or a glob. Writes DIR/diagnosis.csv,
.json and .html over the images, and DIR/<slide>/ for every slide.
"""

import argparse
import os
import shutil
import sys
from pathlib import Path

from pyhisto.bundle import default_bundle, open_bundle
from pyhisto.cli import Parser, positive, run, share
from pyhisto.errors import InputError
from pyhisto.files import write_texts
from pyhisto.inference.diagnosis import CHUNK, ImageFinding, Unreadable, diagnose, find_files
from pyhisto.inference.engines import AUTO, ENGINES
from pyhisto.inference.findings import as_csv, as_json, as_page
from pyhisto.inference.model import Model
from pyhisto.inference.slide_files import PAGE, write_slide
from pyhisto.inference.slide_run import STAINS, SlideSettings, diagnose_slide
from pyhisto.preprocessing.slide import SCALES, is_scale


def main() -> None:
    """Parse, diagnose, write."""
    args = parse()
    images, slides = find_files(args.paths)
    names = [slide.stem for slide in slides]
    if len(set(names)) < len(names):
        raise InputError("two slides have one name, and their folders would, too; ask for them one by one")
    with open_bundle(args.bundle or default_bundle()) as bundle:
        callers = args.workers if slides or len(images) > CHUNK else 1
        model = Model(bundle, args.engine, args.gpu, args.evidence or args.occlusion, args.batch_size, callers)
        engines = ", ".join(model.engine_names)
        if model.why:
            print(f"by {engines}, not {model.why}", file=sys.stderr)
        print(bundle.notice)
        if images:
            found = list(diagnose(images, model, args.workers, args.allow_unreadable, args.occlusion))
            findings = [one for one in found if isinstance(one, ImageFinding)]
            unreadable = [one for one in found if isinstance(one, Unreadable)]
            for one in unreadable:
                print(f"left out: {one.fault}", file=sys.stderr)
            write_texts(
                {
                    args.out / "diagnosis.csv": as_csv(findings, bundle),
                    args.out / "diagnosis.json": as_json(findings, unreadable, bundle, engines),
                    args.out / "diagnosis.html": as_page(findings, unreadable, bundle, engines, args.sort),
                }
            )
            flagged = sum(bool(one.flags) for one in findings)
            print(f"{args.out / 'diagnosis.html'}: {len(findings)} images, {flagged} of them flagged, by {engines}")
        settings = SlideSettings(args.mpp, args.tissue, args.stain, args.workers)
        for slide in slides:
            folder, progress = args.out / slide.stem, args.out / f".{slide.stem}.progress"
            finding = diagnose_slide(slide, model, settings, progress)
            write_slide(finding, bundle, engines, settings, folder)
            shutil.rmtree(progress)
            print(f"{folder / PAGE}: {len(finding.tiles)} tiles, by {engines}")


def parse() -> argparse.Namespace:
    """The command line."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", metavar="PATH", help="images, slides, folders, globs")
    parser.add_argument(
        "--bundle",
        type=Path,
        metavar="B",
        help="the model, folder or zip (default: the one that ships, models/pcam)",
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder to write to")
    parser.add_argument("--evidence", action="store_true", help="draw what speaks for and against, by position")
    parser.add_argument(
        "--occlusion", action="store_true",
        help="and its slow control: how far the score falls if a position shows another part of the image",
    )  # fmt: skip
    parser.add_argument(
        "--sort",
        choices=["probability", "uncertainty"],
        default="probability",
        help="of the page (default %(default)s)",
    )
    parser.add_argument("--mpp", type=scale, metavar="UM", help="micrometres per pixel of slides that do not say it")
    parser.add_argument(
        "--tissue", type=share, default=0.5, metavar="PART", help="of a slide's tile that must be tissue (default 0.5)"
    )
    parser.add_argument(
        "--stain", choices=STAINS, default="tile",
        help="normalise by each tile's own colours (default; what training did with each image), or by the slide's "
        "as a whole (for networks trained without normalisation, on a slide of other colours)",
    )  # fmt: skip
    parser.add_argument("--allow-unreadable", action="store_true", help="go on without images that cannot be read")
    parser.add_argument(
        "--engine", choices=[AUTO, *ENGINES], default=AUTO, help="auto (default): the fastest installed"
    )
    parser.add_argument("--gpu", type=int, metavar="N", help="run on this GPU (default: on the CPU)")
    parser.add_argument("--batch-size", type=positive, default=32, metavar="N", help="default %(default)s")
    parser.add_argument(
        "--workers", type=positive, default=os.cpu_count() or 1, help="read and predict at once (default: one a core)"
    )
    return parser.parse_args()


def scale(text: str) -> float:
    """argparse type: what a slide's micrometres per pixel can be."""
    value = float(text)
    if not is_scale(value):
        raise argparse.ArgumentTypeError(f"{text} is not from {SCALES[0]:g} to {SCALES[1]:g}")
    return value


if __name__ == "__main__":
    run(main)
