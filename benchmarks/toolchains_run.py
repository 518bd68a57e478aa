"""Run one network in one tool chain: started by toolchains.py with the Python of the chain's own virtual environment.

Arguments: the chain, a folder with net.prototxt, net.caffemodel, net.onnx, inputs.npz and outputs.json (name and shape
of each wanted output, in order), and how often to time. Writes result.npz into it and prints the least milliseconds of
processor that a run took, with one thread.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np


def opencv(folder: Path, inputs: dict, outputs: list) -> Callable[[], list]:
    """OpenCV's reader of Caffe networks."""
    import cv2

    cv2.setNumThreads(1)
    net = cv2.dnn.readNetFromCaffe(str(folder / "net.prototxt"), str(folder / "net.caffemodel"))
    for name, values in inputs.items():
        net.setInput(values, name)
    layers = [output["layer"] for output in outputs]

    def run() -> list:
        for name, values in inputs.items():
            net.setInput(values, name)
        return list(net.forward(layers))

    return run


def onnxruntime(folder: Path, inputs: dict, outputs: list) -> Callable[[], list]:
    """ONNX Runtime."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    session = ort.InferenceSession(str(folder / "net.onnx"), options, providers=["CPUExecutionProvider"])
    return lambda: session.run([output["tensor"] for output in outputs], inputs)


def openvino(folder: Path, inputs: dict, outputs: list) -> Callable[[], list]:
    """The Model Optimizer of 2023.3, its Caffe reader, weights in full precision."""
    from openvino.runtime import Core
    from openvino.tools.mo import convert_model

    model = convert_model(
        str(folder / "net.caffemodel"), input_proto=str(folder / "net.prototxt"), framework="caffe", silent=True
    )
    compiled = Core().compile_model(
        model, "CPU", {"INFERENCE_NUM_THREADS": "1", "INFERENCE_PRECISION_HINT": "f32", "NUM_STREAMS": "1"}
    )
    named = {}
    for port in compiled.outputs:
        for name in (*port.get_names(), port.get_node().input_value(0).get_node().get_friendly_name()):
            named[name] = port
    ports = [named.get(output["name"]) or named.get(output["layer"]) for output in outputs]
    request = compiled.create_infer_request()

    def run() -> list:
        found = request.infer(inputs)
        return [found[port] for port in ports]

    return run


def ncnn(folder: Path, inputs: dict, outputs: list) -> Callable[[], list]:
    """ncnn, of what pnnx makes of ONNX, in full precision."""
    import importlib.util

    import ncnn as package

    place = importlib.util.find_spec("pnnx").submodule_search_locations[0]
    shapes = ",".join(f"[{','.join(map(str, values.shape))}]" for values in inputs.values())
    command = [os.path.join(place, "pnnx"), "net.onnx", f"inputshape={shapes}", "fp16=0"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if not (folder / "net.ncnn.param").exists():
        raise RuntimeError(f"pnnx: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
    net = package.Net()
    net.opt.num_threads = 1
    net.opt.use_fp16_packed = net.opt.use_fp16_storage = net.opt.use_fp16_arithmetic = False
    net.opt.use_bf16_storage = False
    if net.load_param(str(folder / "net.ncnn.param")) or net.load_model(str(folder / "net.ncnn.bin")):
        raise RuntimeError("ncnn cannot load what pnnx wrote")
    mats = [package.Mat(np.ascontiguousarray(values[0])).clone() for values in inputs.values()]
    makes = net.output_names()

    def run() -> list:
        extractor = net.create_extractor()
        for name, mat in zip(net.input_names(), mats, strict=True):
            extractor.input(name, mat)
        return [np.array(extractor.extract(name)[1]) for name in makes]

    return run


def mnn(folder: Path, inputs: dict, outputs: list) -> Callable[[], list]:
    """MNN, of ONNX. The converter is called as a function: MNN's own command would send a report home."""
    import _tools
    import MNN

    _tools.mnnconvert(
        ["mnnconvert", "-f", "ONNX", "--modelFile", str(folder / "net.onnx"), "--MNNModel", str(folder / "net.mnn"),
         "--bizCode", "none"]
    )  # fmt: skip
    config = {"precision": "high", "backend": "CPU", "numThread": 1}
    manager = MNN.nn.create_runtime_manager((config,))
    names = [output["tensor"] for output in outputs]
    module = MNN.nn.load_module_from_file(str(folder / "net.mnn"), list(inputs), names, runtime_manager=manager)

    given = []
    for values in inputs.values():
        variable = MNN.expr.const(values.ravel().tolist(), list(values.shape), MNN.expr.NCHW)
        given.append(MNN.expr.convert(variable, MNN.expr.NC4HW4))

    def run() -> list:
        found = module.forward(given)
        found = found if isinstance(found, list) else [found]
        return [np.array(MNN.expr.convert(each, MNN.expr.NCHW).read()) for each in found]

    return run


def rknn(folder: Path, inputs: dict, outputs: list) -> Callable[[], list]:
    """RKNN-Toolkit2's simulator of an RK3588, without quantisation: in half precision."""
    from rknn.api import RKNN

    toolkit = RKNN(verbose=False)
    channels = [values.shape[1] for values in inputs.values()]
    toolkit.config(
        mean_values=[[0.0] * count for count in channels], std_values=[[1.0] * count for count in channels],
        target_platform="rk3588",
    )  # fmt: skip
    if toolkit.load_caffe(model=str(folder / "net.prototxt"), blobs=str(folder / "net.caffemodel")):
        raise RuntimeError("load_caffe fails")
    if toolkit.build(do_quantization=False):
        raise RuntimeError("build fails")
    if toolkit.init_runtime():
        raise RuntimeError("the simulator does not start")
    values = [np.ascontiguousarray(each) for each in inputs.values()]
    return lambda: toolkit.inference(inputs=values, data_format=["nchw"] * len(values))


CHAINS = {each.__name__: each for each in (opencv, onnxruntime, openvino, ncnn, mnn, rknn)}


def main() -> None:
    """Run, write, print."""
    chain, folder, repeats = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    with np.load(folder / "inputs.npz") as stored:
        inputs = {name: stored[name] for name in json.loads((folder / "inputs.json").read_text())}
    outputs = json.loads((folder / "outputs.json").read_text())
    run = CHAINS[chain](folder, inputs, outputs)
    found = run()
    least = float("inf")
    for _ in range(repeats):
        start = time.process_time()
        run()
        least = min(least, time.process_time() - start)
    np.savez(folder / "result.npz", **{str(index): np.asarray(each) for index, each in enumerate(found)})
    print(f"\nmilliseconds {1000 * least:.3f}")


if __name__ == "__main__":
    main()
