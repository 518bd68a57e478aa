#!/usr/bin/env bash
# BVLC's Caffe 1.0, built from the pinned source distribution. The patch beside this file gives back what the distribution
# took out of BVLC's tree; it says why.
#
#   install.sh packages          install the distribution packages (root, or sudo)
#   install.sh key PYTHON        print the key of everything that a build depends on
#   install.sh build PYTHON DIR  build for that Python (with numpy) into DIR: bin, lib, python, models; all of it or nothing
#
# CAFFE_CUDA=1 builds the GPU half too (needs nvidia-cuda-toolkit and g++-11).
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
packages=$(grep -v '^#' "$here/packages.txt")

fail() { echo "caffe/install.sh: $*" >&2; exit 2; }

missing_packages() {
    local package
    for package in $packages; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || echo "$package"
    done
}

install_packages() {
    command -v dpkg-query >/dev/null || fail "needs Debian or a relative of it; elsewhere install Caffe (conda-forge has it) and set CAFFE_ROOT"
    local missing as_root=()
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null || fail "needs root or sudo to install: $(echo $missing)"
        as_root=(sudo)
    fi
    echo "Installing distribution packages: $(echo $missing)"
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null ||
        fail "apt-get could not install: $(echo $missing)"
}

print_key() {
    local python=$1
    {
        uname -m
        echo "cuda=${CAFFE_CUDA:-0}"
        "$python" -c 'import sys, numpy; print(sys.version_info[:2], sys.base_prefix, numpy.__version__)'
        cat "$here/CMakeLists.txt" "$here/install.sh" "$here/source.txt" "$here/berkeley.patch"
        dpkg-query -W $packages
    } | sha256sum | cut -c1-16
}

build() (
    python=$1 prefix=$2
    mkdir -p "$(dirname "$prefix")"
    work=$(mktemp -d "$prefix.building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    echo "Fetching Caffe's source"
    # pip asks a source distribution for its metadata, with setuptools from this environment; nothing of it is installed.
    "$python" -m pip download -q --no-deps --no-binary :all: --no-build-isolation --require-hashes -r "$here/source.txt" -d "$work"
    mkdir "$work/source"
    tar -xzf "$work"/brocolli*caffe-*.tar.gz -C "$work/source" --strip-components=1 --wildcards '*/src' '*/include' '*/python' '*/tools' '*/models'
    patch --quiet --strip=1 --directory="$work/source" < "$here/berkeley.patch" || fail "berkeley.patch does not fit the source"
    echo "Building Caffe (about 10 minutes of CPU time)"
    cuda=OFF; [ "${CAFFE_CUDA:-0}" = 0 ] || cuda=ON
    {
        cmake -S "$here" -B "$work/build" -DCAFFE_SOURCE_DIR="$work/source" -DCAFFE_CUDA=$cuda \
            -DPython3_EXECUTABLE="$python" -DCMAKE_INSTALL_PREFIX="$work/prefix" &&
        cmake --build "$work/build" --parallel "$(nproc)" &&
        cmake --install "$work/build"
    } > "$prefix.log" 2>&1 || { tail -n 20 "$prefix.log" >&2; fail "the build failed; the whole log: $prefix.log"; }
    cp -r "$work/source/models" "$work/prefix/models"
    rm -rf "$prefix" "$prefix.log"
    mv "$work/prefix" "$prefix"
)

case "${1:-}" in
    packages) install_packages ;;
    key) print_key "$2" ;;
    build) build "$2" "$3" ;;
    *) fail "usage: install.sh packages | key PYTHON | build PYTHON DIR" ;;
esac
