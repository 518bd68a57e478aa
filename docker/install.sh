#!/usr/bin/env bash
# Makes .venv: pinned Python packages, the project, and a Caffe whose `caffe` runs the project's Python layers.
# Does nothing, quickly, if that is done. `make setup` and the Docker images call it. `install.sh dependencies` makes
# everything but the project itself: a step of its own in an image, which changes of the project do not repeat.
#
# GPU=1 builds Caffe's GPU half too; .venv remembers that until GPU=0. DEV=0 leaves out what only tests and checks need.
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

export GPU="${GPU:-$(cat "$venv/gpu" 2>/dev/null || echo 0)}"
[ "$GPU" = 0 ] || [ "$GPU" = 1 ] || fail "GPU=$GPU: say GPU=1 or GPU=0"
requirements=("$root/requirements.txt")
[ "${DEV:-1}" = 0 ] || requirements+=("$root/requirements-dev.txt")

# Whatever changes one of these makes the setup run again.
wanted=$({ cat "${requirements[@]}" "$root/pyproject.toml" "$root/setup.py" "$0" "$caffe"/* "$caffe"/cpu/* 2>/dev/null; echo "$root ${CAFFE_ROOT:-} $GPU"; } | sha256sum)
dependencies_only=$([ "${1:-}" = dependencies ] && echo yes || true)
is_done() { [ "$(cat "$venv/setup.done" 2>/dev/null)" = "$wanted" ] && "$venv/bin/caffe" --version >/dev/null 2>&1; }
! is_done || exit 0

# Two setups of one checkout that start at once: the second waits, and finds the work done.
exec 8>> "$root/.setup.lock"
flock --nonblock 8 || { echo "Waiting for another setup of this checkout"; flock 8; }
! is_done || exit 0

# A Caffe that is there already.
python=/usr/bin/python3 system_packages=() found=""
if [ -n "${CAFFE_ROOT:-}" ]; then
    [ -d "$CAFFE_ROOT/python/caffe" ] || fail "CAFFE_ROOT=$CAFFE_ROOT: no python/caffe in it; build pycaffe there, or unset CAFFE_ROOT"
    found="$CAFFE_ROOT/python"
elif theirs=$(python3 -c 'import caffe, os; caffe.Net; print(os.path.dirname(os.path.dirname(caffe.__file__)))' 2>/dev/null); then
    python=$(command -v python3) system_packages=(--system-site-packages) found="$theirs"
fi
[ -n "$found" ] || "$caffe/packages.sh"
[ -x "$python" ] || python=$(command -v python3) || fail "no python3; install Python 3.11"

if ! "$venv/bin/python" -c '' 2>/dev/null; then
    rm -rf "$venv"
    "$python" -m venv "${system_packages[@]}" "$venv" || fail "cannot make a virtual environment; install python3-venv"
fi
echo "$GPU" > "$venv/gpu"

echo "Installing Python packages"
# Exactly the files of the lists, which name every dependency. First what builds the one that comes as source only.
pip_install() { "$venv/bin/pip" install -q --disable-pip-version-check --no-deps --no-build-isolation "$@"; }
# An entry of a list is a line with a name, and lines of hashes below it.
awk '/^[A-Za-z0-9]/ { keep = /^(setuptools|wheel)==/ } keep' "$root/requirements.txt" > "$venv/requirements.txt"
pip_install --require-hashes -r "$venv/requirements.txt"
if [ ${#system_packages[@]} = 0 ]; then
    pip_install --require-hashes $(printf -- '-r %q ' "${requirements[@]}")
else
    # A found Caffe is bound to the numpy that it was built with: that one stays.
    awk '/^[A-Za-z0-9]/ { keep = !/^numpy==/ } keep' "${requirements[@]}" > "$venv/requirements.txt"
    pip_install --require-hashes -r "$venv/requirements.txt"
fi
[ -n "$dependencies_only" ] || pip_install -e "$root"

gpu_build=$GPU
if [ -n "$found" ]; then
    program="" gpu_build=unknown
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
    program="$prefix/bin/caffe" found="$prefix/python" built_here=yes
fi

[ -z "$dependencies_only" ] || exit 0

# `import caffe` works in the environment; and the interpreter inside `caffe` finds the environment by the PATH.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
echo "$found" > "$site/caffe.pth"
faster=$("$caffe/cpu/install.sh" "$found" "$venv")
# A user's Caffe may do without them; ours was built with all that they need.
[ -n "$faster" ] || [ -z "${built_here:-}" ] || fail "the faster layers do not build; see above"
[ -z "$faster" ] || echo "import pyhisto.faster_caffe; pyhisto.faster_caffe.use_with('$found')" >> "$site/caffe.pth"
for tool in caffe convert_imageset compute_image_mean extract_features; do
    [ -x "$(dirname "$program")/$tool" ] || continue
    rm -f "$venv/bin/$tool"
    sed -e "s#@VENV@#$venv#; s#@PROGRAM@#$(dirname "$program")/$tool#; s#@GPU@#$gpu_build#" "$caffe/wrapper.sh" > "$venv/bin/$tool"
    chmod +x "$venv/bin/$tool"
done
"$venv/bin/python" -c 'import caffe' || fail "pycaffe in $found does not import with $("$venv/bin/python" --version); see above"
echo "$wanted" > "$venv/setup.done"
echo "Ready: source .venv/bin/activate (tools/doctor.py says what works)"
