#!/usr/bin/env bash
# BVLC's Caffe 1.0, built from the pinned source distribution. berkeley.patch gives back what the distribution took out of
# Berkeley's tree, and says why.
#
#   install.sh key PYTHON        print the key of everything that a build depends on
#   install.sh source PYTHON DIR unpack Caffe's source into DIR
#   install.sh build PYTHON DIR  build for that Python (with numpy) into DIR: bin, lib, python, models, LICENSE, and
#                                build.json, what the build is; all of it or nothing
#
# GPU=1 builds the GPU half too, with cuDNN and NCCL. packages.sh installs what either build needs.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

fail() { echo "caffe/install.sh: $*" >&2; exit 2; }

print_key() {
    local python=$1 packages
    packages=$("$here/packages.sh" list)
    {
        uname -m
        echo "gpu=${GPU:-0}"
        "$python" -c 'import sys, numpy; print(sys.version_info[:2], sys.base_prefix, numpy.__version__)'
        cat "$here/CMakeLists.txt" "$here/install.sh" "$here/source.txt" "$here/berkeley.patch"
        [ "${GPU:-0}" = 0 ] || cat "$here/source-gpu.txt" "$here/cudnn8.h" "$here/no_card.h" "$here/engines.cpp"
        dpkg-query -W $packages
    } | sha256sum | cut -c1-16
}

# The distribution packages of the libraries that a build in $1 names itself; not those that come with it.
runtime_packages() {
    local file library
    for file in "$1"/bin/* "$1"/lib/libcaffe.so "$1"/python/caffe/_caffe.so; do
        objdump -p "$file" | awk '$1 == "NEEDED" { print $2 }'
    done | sort -u > "$1/needed"
    ldd "$1/lib/libcaffe.so" "$1/python/caffe/_caffe.so" | awk '$2 == "=>" { print $1, $3 }' | sort -u |
        while read -r library file; do
            # dpkg knows a library by the name of its file, and not of a link to it; in /lib, or in /usr/lib.
            file=$(realpath "$file")
            ! grep -qxF "$library" "$1/needed" || dpkg-query -S "$file" 2>/dev/null || dpkg-query -S "${file#/usr}" 2>/dev/null || true
        done | cut -d: -f1 | sort -u
    rm "$1/needed"
}

# What the build in $2, of the build folder $3 and for the Python $1, is, as JSON.
describe() {
    "$1" - "$(print_key "$1")" "$here" "${GPU:-0}" "$3/CMakeCache.txt" $(runtime_packages "$2") <<'PYTHON'
import json, re, sys
from pathlib import Path

key, here, gpu, cache, *packages = sys.argv[1:]
sources = {}
for name in ["source.txt"] + ["source-gpu.txt"] * (gpu != "0"):
    for line in Path(here, name).read_text().splitlines():
        source, digest = line.split(" --hash=")
        sources[source] = digest
cards = re.search("^CAFFE_CUDA_ARCHITECTURES:STRING=(.*)$", Path(cache).read_text(), re.M)
architectures = [int(card) for card in cards[1].split(";")] if gpu != "0" else []
print(json.dumps({"key": key, "sources": sources, "architectures": architectures, "packages": packages}, indent=2))
PYTHON
}

# Berkeley's tree into the folder $2, fetched by the Python $1.
unpack() {
    echo "Fetching Caffe's source"
    mkdir -p "$2"
    # pip asks a source distribution for its metadata, with setuptools from this environment; nothing of it is installed.
    "$1" -m pip download -q --no-deps --no-binary :all: --no-build-isolation --require-hashes -r "$here/source.txt" -d "$2"
    tar -xzf "$2"/brocolli*caffe-*.tar.gz -C "$2" --strip-components=1 \
        --wildcards '*/src' '*/include' '*/python' '*/tools' '*/models' 'brocolli*caffe-*/LICENSE'
    # Gives back what the distribution took out of Berkeley's tree; the patch says what.
    patch --quiet --strip=1 --directory="$2" < "$here/berkeley.patch" || fail "berkeley.patch does not fit the source"
}

build() (
    python=$1 prefix=$2
    mkdir -p "$(dirname "$prefix")"
    work=$(mktemp -d "$prefix.building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    unpack "$python" "$work/source"
    cuda=OFF about="10 minutes"
    if [ "${GPU:-0}" != 0 ]; then
        cuda=ON about="40 minutes"
        "$python" -m pip install -q --no-deps --require-hashes -r "$here/source-gpu.txt" --target "$work/wheels"
    fi
    echo "Building Caffe (about $about of CPU time)"
    {
        cmake -S "$here" -B "$work/build" -DCAFFE_SOURCE_DIR="$work/source" -DCAFFE_CUDA=$cuda \
            -DCAFFE_NVIDIA_DIR="$work/wheels/nvidia" -DPython3_EXECUTABLE="$python" -DCMAKE_INSTALL_PREFIX="$work/prefix" &&
        cmake --build "$work/build" --parallel "$(nproc)" &&
        cmake --install "$work/build" &&
        describe "$python" "$work/prefix" "$work/build" > "$work/build.json" && mv "$work/build.json" "$work/prefix/"
    } > "$prefix.log" 2>&1 || { tail -n 20 "$prefix.log" >&2; fail "the build failed; the whole log: $prefix.log"; }
    cp -r "$work/source/models" "$work/prefix/models"
    rm -rf "$prefix" "$prefix.log"
    mv "$work/prefix" "$prefix"
)

case "${1:-}" in
    key) print_key "$2" ;;
    source) unpack "$2" "$3" ;;
    build) build "$2" "$3" ;;
    *) fail "usage: install.sh key PYTHON | source PYTHON DIR | build PYTHON DIR" ;;
esac
