"""Which folders are packages, and under which names: all else is in pyproject.toml.

The programs stay where a reader looks for them and are installed inside the package, so that no `tools` comes to lie
beside other projects' modules. pyproject.toml alone can name folders so, but then has to list every package by hand.
"""

from setuptools import find_packages, setup

PLACES = {"pyhisto.tools": "tools", "pyhisto.prototxt": "prototxt", "pyhisto.models": "models"}

setup(packages=[*find_packages(include=["data_prep*", "pyhisto*"]), *PLACES], package_dir=PLACES)
