"""What a config asks for: which images are learnt from, how many trainings, which LMDBs wait for which."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from study import Study

from pyhisto.errors import InputError


def study(root: Path, name: str, **change: object) -> Any:
    config = yaml.safe_load((root / "workflow" / "config" / f"{name}.yaml").read_text())
    return Study({**config, **change})


@pytest.mark.parametrize("name", ["breakhis_tables", "breakhis_figures"])
def test_the_paper_s_networks_learn_from_the_whole_official_training_part(root: Path, name: str) -> None:
    asked = study(root, name)
    words = asked.splits(asked.places[0])
    assert words[words.index("--val-fraction") + 1] == "0"
    assert asked.validation == "monitor"


def test_bagging_keeps_its_validation_part(root: Path) -> None:
    asked = study(root, "bagging_small")
    assert asked.validation == "val" and "--val-fraction" not in asked.splits(asked.places[0])


def test_the_tables_take_80_trainings_and_the_figures_one_model(root: Path) -> None:
    tables, figures = study(root, "breakhis_tables"), study(root, "breakhis_figures")
    # 5 folds x 4 magnifications, two branches, before and after
    assert (len(tables.experiments), len(tables.stages)) == (20, 2)
    assert len(figures.experiments) == 1
    assert figures.experiments == ["runs/breakhis_figures/fold1/40X"]


def test_lmdbs_wait_for_those_of_an_earlier_experiment(root: Path) -> None:
    asked = study(root, "breakhis_tables")
    assert [asked.before(place) for place in asked.places[:4]] == [None, None, *asked.experiments[:2]]
    assert asked.before(asked.places[1], at_once=1) == asked.experiments[0]
    everything = study(root, "breakhis_tables", **{"experiments-at-once": 20})
    assert {everything.before(place) for place in everything.places} == {None}


def test_seeds_share_their_images(root: Path) -> None:
    asked = study(root, "pcam_study")
    assert asked.branches == ("global",)
    assert asked.experiments == [f"runs/pcam_study/seed{seed}" for seed in (1, 2, 3)]
    assert asked.every_images == ["runs/pcam_study"]
    assert asked.learning_from("runs/pcam_study") == asked.experiments
    assert [asked.before(place) for place in asked.places] == [None] * 3
    assert asked.splits(asked.places[1]) == ["--dataset", "folder", "--root", "pcam"]


def test_seeds_of_several_folds(root: Path) -> None:
    asked = study(root, "breakhis_small", seeds=[4, 5], **{"experiments-at-once": 1})
    assert asked.experiments[:3] == [f"runs/breakhis_small/{name}" for name in (
        "fold1/100X/seed4", "fold1/100X/seed5", "fold2/100X/seed4")]  # fmt: skip
    assert asked.learning_from("runs/breakhis_small/fold1/100X") == asked.experiments[:2]
    assert asked.before(asked.places[1]) is None and asked.before(asked.places[2]) == "runs/breakhis_small/fold1/100X"
    assert "--seed" not in asked.splits(asked.places[1])


@pytest.mark.parametrize("branches", [[], ["middle"], "global"])
def test_branches_are_global_and_local(root: Path, branches: object) -> None:
    with pytest.raises(InputError, match="branches"):
        study(root, "tiny", branches=branches)


@pytest.mark.parametrize("number", [0, -1, "2", 1.5, True])
def test_at_once_is_a_number(root: Path, number: object) -> None:
    with pytest.raises(InputError, match="experiments-at-once"):
        study(root, "tiny", **{"experiments-at-once": number})


def test_the_loops_of_prunings_are_stages(root: Path) -> None:
    prunings: dict[str, Any] = {
        "thrice": {"criterion": "sep", "ratio": 0.8, "loops": 3},
        "once": {"criterion": "l1", "ratio": 0.5},
        "sparse": {"method": "DNS", "of": "once", "sparsity": 0.5},
        "trained_on": {"method": "training alone"},
        "elsewhere": {"method": "training from weights", "weights": "x.caffemodel"},
    }
    asked = study(root, "tiny", compressions=prunings)
    assert asked.prunings == ["thrice", "once"]
    assert asked.loops == ["loops/thrice_1", "loops/thrice_2", "thrice", "once"]
    assert asked.started == {"elsewhere": "x.caffemodel"}


def test_a_start_from_weights_names_their_file(root: Path) -> None:
    with pytest.raises(InputError, match="elsewhere: training from weights: say which"):
        study(root, "tiny", compressions={"elsewhere": {"method": "training from weights"}})


@pytest.mark.parametrize("settings", [{"loops": 0}, {"loops": "2"}, {"ratio": 1}, {"ratio": "half"}, {"ratio": True}])
def test_an_amount_of_pruning_is_a_number(root: Path, settings: dict[str, object]) -> None:
    with pytest.raises(InputError, match=f"compressions: after: {next(iter(settings))}"):
        study(root, "tiny", compressions={"after": {"criterion": "sep", **settings}})
