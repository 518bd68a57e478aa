#!/usr/bin/env bash
# Writes requirements.txt, -cluster.txt and -dev.txt: every package that setup installs, pinned, with the sha256 of each of
# its files on PyPI, for every machine. What they pin already stays; delete a line to let it move. Needs uv (pip install uv).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
command -v uv >/dev/null || { echo "docker/pin_requirements.sh: no uv; pip install uv" >&2; exit 2; }
compile() {
    uv --no-config pip compile -q --system-certs --generate-hashes --python-version 3.11 --python-platform linux \
        --no-emit-index-url --custom-compile-command "make requirements" "$@"
}
compile pyproject.toml --extra all --group caffe -o requirements.txt
compile pyproject.toml --extra cluster -c requirements.txt -o requirements-cluster.txt
compile --group dev -c requirements.txt -o requirements-dev.txt
