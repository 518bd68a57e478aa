"""The tool chains, one a file, by the names of tools/deploy.py --for."""

from pyhisto.deploy.chain import Chain
from pyhisto.deploy.chains.ascend import ASCEND
from pyhisto.deploy.chains.mnn import MNN
from pyhisto.deploy.chains.ncnn import NCNN
from pyhisto.deploy.chains.nnie import NNIE
from pyhisto.deploy.chains.opencv import OPENCV
from pyhisto.deploy.chains.openvino import OPENVINO
from pyhisto.deploy.chains.rknn import RKNN
from pyhisto.deploy.chains.sigmastar import SIGMASTAR

CHAINS: dict[str, Chain] = {
    "opencv": OPENCV,
    "openvino": OPENVINO,
    "ncnn": NCNN,
    "mnn": MNN,
    "rknn": RKNN,
    "ascend": ASCEND,
    "nnie": NNIE,
    "sigmastar": SIGMASTAR,
}
