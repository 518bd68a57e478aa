#!/usr/bin/env bash
# Installs the distribution packages that Caffe is built with: packages.txt, and with GPU=1 packages-gpu.txt too.
# Needs root or sudo if one is missing. `packages.sh list` prints their names and does nothing.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
lists=("$here/packages.txt")
[ "${GPU:-0}" = 0 ] || lists+=("$here/packages-gpu.txt")
packages=$(grep -h -v '^#' "${lists[@]}")

fail() { echo "setup: $*" >&2; exit 2; }

if [ "${1:-}" = list ]; then
    echo "$packages"
    exit 0
fi

command -v dpkg-query >/dev/null || fail "needs Debian or a relative of it; elsewhere install Caffe (conda-forge has it) and set CAFFE_ROOT"
missing=()
for package in $packages; do
    [ "$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} != 0 ] || exit 0
as_root=()
if [ "$(id -u)" != 0 ]; then
    command -v sudo >/dev/null || fail "needs root or sudo to install: ${missing[*]}"
    as_root=(sudo)
fi
echo "Installing distribution packages: ${missing[*]}"
# Another apt-get at work is waited for.
apt_get() { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=600 "$@"; }
apt_get update
for package in "${missing[@]}"; do
    apt-cache show "$package" >/dev/null 2>&1 ||
        fail "apt-get knows no package $package$([ "$package" != nvidia-cuda-toolkit ] || echo '; Debian 12 has it in non-free, which wants contrib: add both to the sources of apt')"
done
apt_get install -y --no-install-recommends "${missing[@]}" >/dev/null || fail "apt-get could not install: ${missing[*]}"
