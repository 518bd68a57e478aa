"""The public Caffe models that lie beside the checkout, by name: their prototxt and caffemodel."""

from pathlib import Path

PUBLIC_MODELS = {
    "mtcnn_det4": ("mtcnn_det4/det4.prototxt", "mtcnn_det4/det4.caffemodel"),
    "res10_ssd": ("opencv_res10_ssd/deploy.prototxt", "opencv_res10_ssd/res10_300x300_ssd_iter_140000.caffemodel"),
    "pcn_1": ("pcn/PCN-1.prototxt", "pcn/PCN.caffemodel"),
    "pcn_2": ("pcn/PCN-2.prototxt", "pcn/PCN.caffemodel"),
    "pcn_3": ("pcn/PCN-3.prototxt", "pcn/PCN.caffemodel"),
    "retinaface": ("retinaface_mnet25_clancylian/mnet25.prototxt", "retinaface_mnet25_clancylian/mnet25.caffemodel"),
    "ultraface": ("ultraface_slim320/slim-320.prototxt", "ultraface_slim320/slim-320.caffemodel"),
    "upresnet10": (
        "waifu2x_upresnet10/scale2.0x_model.prototxt",
        "waifu2x_upresnet10/scale2.0x_model.json.caffemodel",
    ),
    "qr_sr": ("wechat_qr_sr/sr.prototxt", "wechat_qr_sr/sr.caffemodel"),
    "yufacedetect": (
        "yufacedetectnet_v2/yufacedetectnet-open-v2.prototxt",
        "yufacedetectnet_v2/yufacedetectnet-open-v2.caffemodel",
    ),
}


def public_model(shared_data: Path, name: str) -> tuple[Path, Path]:
    """The prototxt and the caffemodel."""
    model, weights = PUBLIC_MODELS[name]
    return shared_data / "models" / model, shared_data / "models" / weights
