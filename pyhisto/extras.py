"""The packages that only some programs need, and the extra of the project that installs each."""

EXTRAS = {
    "PIL": "data",
    "imagecodecs": "data",
    "simplejpeg": "data",
    "torchstain": "data",
    "defusedxml": "slides",
    "openslide": "slides",
    "jinja2": "report",
    "matplotlib": "report",
    "mahotas": "features",
    "skimage": "features",
    "sklearn": "features",
    "onnx": "onnx",
    "onnxruntime": "onnx",
    "scipy": "diagnose",
    "tifffile": "diagnose",
    "flask": "serve",
    "safetensors": "pretrained",
    "snakemake": "workflow",
    "yaml": "workflow",
}
"""Name to import -> the extra in pyproject.toml that brings it."""


def what_to_install(error: ImportError) -> str | None:
    """One line about a package that is not there: which, and the command that installs it. None: no extra has it."""
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return None
    return f"needs the package {package}, which is not installed: pip install 'pyhisto[{EXTRAS[package]}]'"
