"""Real Caffe in a process of its own, asked for the shapes of networks: it aborts where it refuses one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, TypeAlias

Shapes: TypeAlias = dict[str, Any]

_WORKER = """
import json, sys
answers = sys.stdout
import caffe
for line in sys.stdin:
    path, phase = json.loads(line)
    net = caffe.Net(path, phase)
    blobs = {name: list(blob.data.shape) for name, blob in net.blobs.items()}
    params = {name: [list(blob.data.shape) for blob in blobs] for name, blobs in net.params.items()}
    del net
    print(json.dumps({"blobs": blobs, "params": params}), file=answers, flush=True)
"""


class CaffePeer:
    """`shapes(text, phase)`: {"blobs": {name: shape}, "params": {layer: [shapes]}}, or None where Caffe refuses."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.process: subprocess.Popen[str] | None = None

    def shapes(self, text: str, phase: int) -> Shapes | None:
        path = self.folder / "net.prototxt"
        path.write_text(text)
        if self.process is None:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _WORKER],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "GLOG_minloglevel": "3", "OPENBLAS_NUM_THREADS": "1"},
                cwd=self.folder,
                text=True,
            )
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write(json.dumps([str(path), phase]) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        if not answer:
            self.close()
            return None
        shapes: Shapes = json.loads(answer)
        return shapes

    def close(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()
            self.process = None
