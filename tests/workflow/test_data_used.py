"""workflow/study.py: which folders a config reads."""

import sys
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def study(root: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(root / "workflow"))
    monkeypatch.delitem(sys.modules, "study", raising=False)
    import study

    return study.Study


def config(**data: object) -> dict[str, object]:
    sections: dict[str, object] = {name: {} for name in ("lmdb", "network", "solver", "compressions")}
    return {"name": "n", "title": "t", "data": data, "magnifications": [100], **sections}


def test_the_folders_that_are_really_read(study: Any) -> None:
    own = config(breakhis="BreaKHis_v1", folds="breakhis_folds", allow_missing=True)
    assert study(own).data_used == own["data"]
    # What the command line's --config says goes before the file.
    told = study({**own, "breakhis": "/data/B", "folds_dir": "/data/folds"})
    assert told.data_used == {"breakhis": "/data/B", "folds": "/data/folds", "allow_missing": True}
    assert study({**config(slides="a"), "slides": "b"}).data_used == {"slides": "b"}
    assert study({**config(kfold=5), "bisque": "b"}).data_used == {"kfold": 5, "bisque": "b"}
    assert study(config(synthetic={"seed": 0})).data_used == {"synthetic": {"seed": 0}}
