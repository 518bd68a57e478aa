#!/usr/bin/env bash
# build.sh cpu | gpu: builds docker/Dockerfile.cpu or .gpu as pyhisto-cpu or pyhisto-gpu, runs the fast suite in it, and
# shows what it holds. With docker if an engine answers; else with buildah, whose chroot isolation needs no engine but
# root, on a Debian 12 base that debootstrap makes. BASE names another Debian 12 image, by digest to build on it again.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
kind=${1:-}
[ "$kind" = cpu ] || [ "$kind" = gpu ] || { echo "docker/build.sh: usage: build.sh cpu | gpu" >&2; exit 2; }
image=pyhisto-$kind
commit=$(git describe --always --dirty --abbrev=40 --exclude='*' 2>/dev/null || echo unknown)

if docker info >/dev/null 2>&1; then
    [ -n "${BASE:-}" ] || docker pull -q debian:12
    # The digest of what was pulled: versions.txt in the image names it.
    base=${BASE:-$(docker inspect --format '{{index .RepoDigests 0}}' debian:12)}
    build() { docker build -f "docker/Dockerfile.$kind" --build-arg BASE="$base" --build-arg COMMIT="$commit" --target "$1" -t "$2" .; }
    in_image() { docker run --rm "$@"; }
    size() { docker image inspect --format '{{.Size}}' "$1"; }
else
    command -v buildah >/dev/null && command -v debootstrap >/dev/null ||
        { echo "docker/build.sh: no docker engine; apt-get install buildah debootstrap to build without one" >&2; exit 2; }
    # Inside a chroot the host's own resources serve: no network namespace, and copies if there can be no overlays.
    export BUILDAH_ISOLATION=chroot
    buildah info >/dev/null 2>&1 || export STORAGE_DRIVER=vfs
    base=${BASE:-localhost/pyhisto-debian12}
    # Behind a proxy that inspects traffic, pip needs the host's certificates. They are no part of the image.
    certificates=/run/host-certificates.crt
    trust=(--volume "${PIP_CERT:-/etc/ssl/certs/ca-certificates.crt}:$certificates:ro" --build-arg PIP_CERT="$certificates")
    build() { buildah bud --layers "${trust[@]}" -f "docker/Dockerfile.$kind" --build-arg BASE="$base" --build-arg COMMIT="$commit" --target "$1" -t "$2" .; }
    in_image() {
        local container status=0
        container=$(buildah from "localhost/$1")
        buildah run "$container" -- "${@:2}" || status=$?
        buildah rm "$container" >/dev/null
        return $status
    }
    size() { buildah images --format '{{.Size}}' "localhost/$1"; }
    if ! buildah inspect --type image "$base" >/dev/null 2>&1; then
        root=$(mktemp -d)
        trap 'rm -rf "$root"' EXIT
        mirror=$(sed -n 's/^deb \(\[[^]]*\] \)\?\([^ ]*\) .*/\2/p; s/^URIs: *\([^ ]*\).*/\1/p' /etc/apt/sources.list /etc/apt/sources.list.d/* 2>/dev/null | head -n 1 || true)
        debootstrap --variant=minbase bookworm "$root/base" ${mirror:+"$mirror"} > "$root/debootstrap.log" ||
            { tail "$root/debootstrap.log" >&2; exit 1; }
        # What debootstrap downloaded is no part of an image.
        rm -rf "$root"/base/var/cache/apt/archives/*.deb "$root"/base/var/lib/apt/lists/*
        rm -f "$root/base/etc/apt/sources.list"
        cp /etc/apt/sources.list "$root/base/etc/apt/" 2>/dev/null || true
        cp -r /etc/apt/sources.list.d /etc/apt/apt.conf.d "$root/base/etc/apt/"
        container=$(buildah from scratch)
        buildah copy -q "$container" "$root/base" /
        buildah commit -q --rm "$container" "$base"
        rm -rf "$root"
    fi
fi

build run "$image"
build test "$image-test"
[ "$kind" = cpu ] || build build "$image-build"

echo "Size of $image: $(size "$image")"
echo "Libraries that the Caffe in $image names and the image lacks (libcuda, which comes with a card's driver, may be one):"
in_image "$image" sh -c 'cd .cache/pyhisto/caffe-*/
    missing=$(ldd bin/caffe lib/lib*.so* python/caffe/_caffe.so | grep "not found" | sort -u)
    echo "${missing:-none}"
    ! echo "$missing" | grep -v -e "^$" -e "libcuda\.so" | grep -q .'
echo "Compilers in $image: $(in_image "$image" sh -c 'for name in gcc cc g++ cc1plus nvcc cmake ld; do command -v $name; done; true' | tr '\n' ' ')"
if [ "$kind" = gpu ]; then
    echo "Machine code in libcaffe.so, kernels of each architecture:"
    in_image "$image-build" sh -c 'cuobjdump --list-elf .cache/pyhisto/caffe-*/lib/libcaffe.so | grep -o "sm_[0-9]*" | sort | uniq -c'
    echo "caffe device_query -gpu 0, without a card:"
    in_image "$image" sh -c '! caffe device_query -gpu 0'
fi
in_image "$image-test" make test
