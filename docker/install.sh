#!/usr/bin/env bash
# Makes .venv: pinned Python packages, the project, and a Caffe whose `caffe` runs the project's Python layers.
# Does nothing, quickly, where that is done. `make setup` and the Docker images call it. `install.sh dependencies` makes
# everything but the project itself: a step of its own in an image, which changes of the project do not repeat.
#
# Caffe is, in this order: the one at $CAFFE_ROOT; the one that `python3` can import; else our own build, kept in the
# user's cache under a key of everything that it depends on, so that a second checkout builds nothing.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
caffe="$root/docker/caffe"
venv="$root/.venv"
cache="${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/pyhisto"

# Our own environment, activated, is not a Caffe that is there already.
PATH=$(echo ":$PATH:" | sed "s#:$venv/bin:#:#g; s/^://; s/:$//")

fail() { echo "setup: $*" >&2; exit 2; }

# Whatever changes one of these makes the setup run again.
wanted=$({ cat "$root/requirements.txt" "$root/pyproject.toml" "$0" "$caffe"/* 2>/dev/null; echo "$root ${CAFFE_ROOT:-} ${CAFFE_CUDA:-0}"; } | sha256sum)
dependencies_only=$([ "${1:-}" = dependencies ] && echo yes || true)
if [ "$(cat "$venv/setup.done" 2>/dev/null)" = "$wanted" ] && "$venv/bin/caffe" --version >/dev/null 2>&1; then
    exit 0
fi

# A Caffe that is there already.
python=/usr/bin/python3 system_packages=() found=""
if [ -n "${CAFFE_ROOT:-}" ]; then
    [ -d "$CAFFE_ROOT/python/caffe" ] || fail "CAFFE_ROOT=$CAFFE_ROOT: no python/caffe in it; build pycaffe there, or unset CAFFE_ROOT"
    found="$CAFFE_ROOT/python"
elif theirs=$(python3 -c 'import caffe, os; caffe.Net; print(os.path.dirname(os.path.dirname(caffe.__file__)))' 2>/dev/null); then
    python=$(command -v python3) system_packages=(--system-site-packages) found="$theirs"
fi
[ -n "$found" ] || "$caffe/install.sh" packages
[ -x "$python" ] || python=$(command -v python3) || fail "no python3; install Python 3.11"

if ! "$venv/bin/python" -c '' 2>/dev/null; then
    rm -rf "$venv"
    "$python" -m venv "${system_packages[@]}" "$venv" || fail "cannot make a virtual environment; install python3-venv"
fi
echo "Installing Python packages"
# A found Caffe is bound to the numpy that it was built with: that one stays.
own_numpy=""
[ ${#system_packages[@]} = 0 ] || own_numpy=$("$python" -c 'import numpy; print(f"numpy=={numpy.__version__}")')
if [ -n "$own_numpy" ]; then
    grep -v '^numpy==' "$root/requirements.txt" > "$venv/requirements.txt"
    echo "$own_numpy" >> "$venv/requirements.txt"
else
    cp "$root/requirements.txt" "$venv/requirements.txt"
fi
# First what builds the few packages that come as source only.
"$venv/bin/pip" install -q --disable-pip-version-check $(grep -E '^(setuptools|wheel)==' "$root/requirements.txt")
"$venv/bin/pip" install -q --disable-pip-version-check -r "$venv/requirements.txt"
[ -n "$dependencies_only" ] || "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation -e "$root"

if [ -n "$found" ]; then
    program=""
    for candidate in "$found/../build/tools/caffe" "$found/../bin/caffe" "$(dirname "$python")/caffe" "$(command -v caffe || true)"; do
        [ -x "$candidate" ] && [ "$candidate" != "$venv/bin/caffe" ] && { program=$(realpath "$candidate"); break; }
    done
    [ -n "$program" ] || fail "found pycaffe in $found, but no caffe program beside it or on PATH"
    echo "Using the Caffe at $found"
else
    prefix="$cache/caffe-$("$caffe/install.sh" key "$venv/bin/python")"
    if [ ! -x "$prefix/bin/caffe" ]; then
        # Two checkouts that start at once build once.
        mkdir -p "$cache"
        exec 9> "$prefix.lock"
        flock 9
        [ -x "$prefix/bin/caffe" ] || "$caffe/install.sh" build "$venv/bin/python" "$prefix"
        exec 9>&-
    fi
    program="$prefix/bin/caffe" found="$prefix/python"
fi

[ -z "$dependencies_only" ] || exit 0

# `import caffe` works in the environment; and the interpreter inside `caffe` finds the environment by the PATH.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$found" > "$site/caffe.pth"
for tool in caffe convert_imageset compute_image_mean extract_features; do
    [ -x "$(dirname "$program")/$tool" ] || continue
    rm -f "$venv/bin/$tool"
    printf '#!/bin/sh\nPATH="%s:$PATH" exec "%s" "$@"\n' "$venv/bin" "$(dirname "$program")/$tool" > "$venv/bin/$tool"
    chmod +x "$venv/bin/$tool"
done
"$venv/bin/python" -c 'import caffe' || fail "pycaffe in $found does not import with $("$venv/bin/python" --version); see above"
echo "$wanted" > "$venv/setup.done"
echo "Ready: source .venv/bin/activate (tools/doctor.py says what works)"
