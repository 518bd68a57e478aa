"""A process with every import made, that runs one program after the other, each in a fork of itself.

Reads one JSON object a line, {"program", "arguments", "folder", "seconds"}, and answers with one: how it ended. A
program gets so many seconds, and `MEMORY` bytes of address space beyond what the imports take.
"""

import gc
import importlib
import json
import os
import resource
import runpy
import select
import signal
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MEMORY = 4 << 30


def import_all() -> None:
    """Import what the programs import, so that a fork has it."""
    sys.path.insert(0, str(ROOT))
    for package in ("pyhisto", "data_prep"):
        for path in sorted((ROOT / package).rglob("*.py")):
            module = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            if not module.endswith("__init__") and module != "pyhisto.layers.sep":
                importlib.import_module(module)
    for module in ("h5py", "lmdb", "mahotas", "onnxruntime", "onnx", "safetensors", "skimage", "sklearn", "yaml"):
        importlib.import_module(module)
    os.environ["GLOG_minloglevel"] = "2"
    importlib.import_module("caffe")


def serve() -> None:
    """Answer until the input ends."""
    import_all()
    size = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGESIZE")
    gc.collect()
    gc.freeze()  # or the forks' collections would copy every page
    print(json.dumps({"ready": size}), flush=True)
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line), size + MEMORY)), flush=True)


def run(case: dict[str, object], memory: int) -> dict[str, object]:
    """Run one program in a fork; its exit status (below 0: the signal), seconds, the most memory, whether it hung."""
    folder = Path(str(case["folder"]))
    began = time.monotonic()
    child = os.fork()
    if not child:
        _become(str(case["program"]), case["arguments"], folder, memory)  # type: ignore[arg-type]
    descriptor = os.pidfd_open(child)
    hung = not select.select([descriptor], [], [], float(str(case["seconds"])))[0]
    if hung:
        os.kill(child, signal.SIGKILL)  # the guard's child ends with it
    os.close(descriptor)
    _, status, usage = os.wait4(child, 0)
    return {
        "code": os.waitstatus_to_exitcode(status), "hung": hung, "seconds": time.monotonic() - began,
        "memory": usage.ru_maxrss * 1024,
    }  # fmt: skip


def _become(program: str, arguments: list[str], folder: Path, memory: int) -> None:
    """In the fork: be the program."""
    os.setsid()
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.chdir(folder)
    for number, name in ((0, os.devnull), (1, "stdout"), (2, "stderr")):
        os.dup2(os.open(name, os.O_RDWR | os.O_CREAT, 0o666), number)
    sys.stdout = open(1, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, encoding="utf-8", errors="backslashreplace")  # noqa: SIM115
    sys.argv = [program, *arguments]
    sys.path.insert(0, str(Path(program).parent))
    code = 1
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 0 if end.code is None else 1
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException:
        import traceback

        traceback.print_exc()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


if __name__ == "__main__":
    serve()
