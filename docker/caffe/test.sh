#!/usr/bin/env bash
# Caffe's own tests, as Berkeley wrote them, of the Caffe that `make setup` made: test.sh PYTHON [python | all]
#
#   python   pycaffe's, in seconds
#   all      those and the C++ suite, which is compiled first (about 15 minutes of CPU time)
#
# Not run, and said so: what needs a card; drawing networks, without pydot and Graphviz.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
python=$(realpath -s "$1") which=${2:-all}
export GLOG_minloglevel=2

fail() { echo "test-caffe: $*" >&2; exit 2; }

installed=$("$python" -c 'import caffe, os; print(os.path.dirname(caffe.__file__))')
[ -d "$installed/test" ] || fail "$installed has no tests beside it; unset CAFFE_ROOT, then: make setup"
drawing=()
{ command -v dot && "$python" -c 'import pydot'; } >/dev/null 2>&1 || {
    drawing=(--ignore "$installed/test/test_draw.py")
    echo "Not run: test_draw.py (needs pydot and Graphviz)"
}
# Not in the project's folder: its pytest settings are not Caffe's.
(cd "$installed/test" && "$python" -m pytest -q --rootdir . -p no:cacheprovider -W ignore "${drawing[@]}" .)
[ "$which" = all ] || exit 0

work=$(mktemp -d "${TMPDIR:-/tmp}/test-caffe.XXXXXX")
trap 'rm -rf "$work"' EXIT
"$here/install.sh" source "$python" "$work/source"
echo "Building Caffe's C++ tests"
{
    cmake -S "$here" -B "$work/build" -DCAFFE_SOURCE_DIR="$work/source" -DCAFFE_TESTS=ON -DPython3_EXECUTABLE="$python" &&
    cmake --build "$work/build" --parallel "$(nproc)" --target test_caffe
} > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; fail "the tests do not build; see above"; }
# The tests name pictures that the source distribution left out. Any of the same sizes do, in pixels, and cat.jpg in bytes.
mkdir -p "$work/source/examples/images"
"$python" - "$work/source/examples/images" <<'PICTURES'
import sys
from pathlib import Path

import cv2
import numpy as np

rng = np.random.default_rng(0)
grey, colour = (360, 480), (360, 480, 3)
for name, shape in {"cat": colour, "cat gray": grey, "cat_gray": grey, "fish-bike": (323, 481, 3)}.items():
    file = Path(sys.argv[1], f"{name}.jpg")
    data = cv2.imencode(".jpg", rng.integers(0, 256, shape, dtype=np.uint8), [cv2.IMWRITE_JPEG_QUALITY, 60])[1].tobytes()
    file.write_bytes(data.ljust(140391 if name == "cat" else 0, b"\0"))
PICTURES
# The library that is tested is the installed one, not its twin in the build folder.
export LD_LIBRARY_PATH="$(realpath "$installed/../../lib")"
# As Caffe's Makefile does it for a CPU build.
cd "$work/source" && "$work/build/test_caffe" --gtest_color=no --gtest_filter=-*GPU* > "$work/results" 2> "$work/errors" || true
grep -E '^\[  (PASSED|FAILED)  \]|tests ran' "$work/results" || { tail "$work/errors" >&2; fail "the C++ suite did not end; see above"; }
! grep -q '^\[  FAILED  \]' "$work/results" || exit 1

# Its tests of the layers that cpu/ computes otherwise, with those in their place.
include="$(realpath "$installed/../../include")"
[ -d "$include" ] || exit 0
{
    cmake -S "$here/cpu" -B "$work/cpu" -DCAFFE_LIBRARY="$LD_LIBRARY_PATH/libcaffe.so" -DCAFFE_INCLUDE_DIR="$include" \
        -DCAFFE_SOURCE_DIR="$work/source" &&
    cmake --build "$work/cpu" --parallel "$(nproc)"
} > "$work/log" 2>&1 || { tail -n 20 "$work/log" >&2; fail "the tests of the faster layers do not build; see above"; }
echo "With the faster layers:"
"$work/cpu/test_pyhisto_cpu" --gtest_color=no > "$work/results" 2> "$work/errors" || true
grep -E '^\[  (PASSED|FAILED)  \]|tests ran' "$work/results" || { tail "$work/errors" >&2; fail "the tests did not end; see above"; }
! grep -q '^\[  FAILED  \]' "$work/results"
