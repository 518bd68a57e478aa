#!/usr/bin/env bash
# Builds libpyhisto_cpu for a Caffe that is there: install.sh FOLDER VENV, the folder that holds pycaffe.
# VENV/lib/libpyhisto_cpu.so is then there, and its path is printed; or it is not, and nothing is printed, if that Caffe has no
# headers, or the library does not compile with them: such a Caffe runs as it is.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
pycaffe=$(realpath "$1") library="$2/lib/libpyhisto_cpu.so"
cache="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pyhisto"

rm -f "$library"
say() { echo "$*; Caffe computes as it is" >&2; exit 0; }

# Where they are in a Caffe that is installed (ours, conda's), and where its two ways to build it leave the generated one.
libcaffe=$(ldd "$pycaffe/caffe/_caffe.so" 2>/dev/null | awk '$1 ~ /^libcaffe/ { print $3 }')
[ -f "$libcaffe" ] || say "The faster layers are left out: pycaffe in $pycaffe has no libcaffe.so"
headers=() layer="" proto=""
for folder in "$pycaffe/../include" "$pycaffe/../../../include" "$pycaffe/../build/include" "$pycaffe/../build/src" "$pycaffe/../.build_release/src"; do
    [ ! -f "$folder/caffe/layer.hpp" ] || layer=yes
    [ ! -f "$folder/caffe/proto/caffe.pb.h" ] || proto=yes
    [ ! -d "$folder/caffe" ] || headers+=("$(realpath "$folder")")
done
[ "$layer$proto" = yesyes ] || say "The faster layers are left out: no headers of the Caffe in $pycaffe"

key=$({ uname -m; echo "$libcaffe"; stat -c '%s %Y' "$libcaffe"; cat "$here"/*; ${CXX:-g++} --version; } | sha256sum | cut -c1-16)
built="$cache/libpyhisto_cpu-$key.so"
if [ ! -f "$built" ]; then
    echo "Building the faster layers (about half a minute of CPU time)" >&2
    mkdir -p "$cache"
    work=$(mktemp -d "$built.building.XXXXXX")
    trap 'rm -rf "$work"' EXIT
    {
        cmake -S "$here" -B "$work" -DCAFFE_LIBRARY="$libcaffe" -DCAFFE_INCLUDE_DIR="$(IFS=';'; echo "${headers[*]}")" &&
        cmake --build "$work" --parallel "$(nproc)"
    } > "$work/log" 2>&1 || { tail -n 5 "$work/log" >&2; say "The faster layers are left out: they do not compile for the Caffe in $pycaffe"; }
    mv "$work/libpyhisto_cpu.so" "$built"
fi
cp "$built" "$library"
echo "$library"
