#!/usr/bin/env bash
# Builds docker/Dockerfile.cpu and runs the fast suite in the image: with docker where an engine answers, else with
# buildah, whose chroot isolation needs no engine, on a Debian 12 base that debootstrap makes. Needs root for that.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
image=pyhisto-cpu base=localhost/pyhisto-debian12

if docker info >/dev/null 2>&1; then
    docker build -f docker/Dockerfile.cpu -t "$image" .
    exec docker run --rm "$image" make test
fi
command -v buildah >/dev/null && command -v debootstrap >/dev/null ||
    { echo "docker/build.sh: no docker engine; apt-get install buildah debootstrap to build without one" >&2; exit 2; }
# Inside a chroot the host's own resources serve: no overlay file system, no network namespace.
export STORAGE_DRIVER=vfs BUILDAH_ISOLATION=chroot
# Behind a proxy that inspects traffic, pip needs the host's certificates. They are no part of the image.
certificates=/run/host-certificates.crt
trust=(--volume "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}:$certificates:ro")
if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
    debootstrap --variant=minbase bookworm "$root/base" ${mirror:+"$mirror"} > "$root/debootstrap.log" ||
        { tail "$root/debootstrap.log" >&2; exit 1; }
    rm -f "$root/base/etc/apt/sources.list"
    cp /etc/apt/sources.list "$root/base/etc/apt/" 2>/dev/null || true
    cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/base/etc/apt/"
    container=$(buildah from scratch)
    buildah copy -q "$container" "$root/base" /
    buildah commit -q --rm "$container" "$base"
fi
buildah bud --layers --isolation chroot "${trust[@]}" --build-arg BASE="$base" --build-arg PIP_CERT="$certificates" -f docker/Dockerfile.cpu -t "$image" .
container=$(buildah from "$image")
trap 'buildah rm "$container" >/dev/null' EXIT
buildah run --isolation chroot "$container" -- make test
