"""workflow/costs.py: what jobs take, worked out by hand from made-up times."""

from pathlib import Path

import pytest
import yaml
from costs import LOG, SNAKEMAKE, STARTS, Costs, JobCost, shares_left
from dry_run import Job
from images import Images
from measured import Prepared, Trained
from speeds import CARDS, Network, Times, at_iterations, on_named_card
from study import Study

IMAGES = Images(train=100, val=20, test=40, example=Path("x.png"), name="0123456789")
CUTS = {
    "global": Prepared(patches=1, train=0.8, plain=0.1, copies=8, record=4096),
    "local": Prepared(patches=15, train=8, plain=1, copies=8, record=4096),
}
# 0.5 s an iteration of 10 images, 0.02 s an image; 1000 iterations, 6 tests; 4 MB of weights.
NETWORK = Trained(
    Times(0.02, 0.5), Times(0.02, 0.5), False, batch=10, iterations=1000, tests=6, snapshots=5, learned=4_000_000,
    layers=1000, files=2000, train_val=700,
)  # fmt: skip


@pytest.fixture
def costs(root: Path) -> Costs:
    config = yaml.safe_load((root / "workflow" / "config" / "tiny.yaml").read_text())
    compressions = {
        "half": {"criterion": "sep", "ratio": 0.5},
        "dns": {"method": "DNS", "of": "half", "iterations": 100},
    }
    study = Study({**config, "compressions": compressions, "compared": {}})
    networks = dict.fromkeys(("global", "local", "retraining"), NETWORK)
    return Costs(study, IMAGES, 0.0, CUTS, networks, (0.5, 6))


def cost(costs: Costs, rule: str, **wildcards: str) -> JobCost:
    return costs.of(Job(rule, wildcards))


def test_a_training(costs: Costs) -> None:
    found = cost(costs, "train", stage="before", branch="local")
    # 1000 iterations, and 6 tests of 20 images of 15 patches.
    assert found.core == pytest.approx(1000 * 0.5 + 6 * 300 * 0.02)
    # Two snapshots of weights and history, the weights once more, and the log; the settings of layers with each model.
    assert found.disk == pytest.approx(2 * (8_000_000 + 1000) + 4_000_000 + 1000 + LOG * 700 + 50_000)
    half = cost(costs, "train", stage="half", branch="local")
    assert half.core == pytest.approx(found.core * 1861.8 / 2920.3)  # Table 7
    dns = cost(costs, "surgery", stage="dns", branch="local")
    assert dns.core == pytest.approx(half.core / 10)


def test_images_and_records(costs: Costs) -> None:
    assert cost(costs, "lmdb", branch="global").core == pytest.approx(100 * 0.8 + 20 * 0.1)
    assert cost(costs, "importance", stage="before", branch="local").core == pytest.approx(100 * 8 * 15 * 0.02)
    predicted = cost(costs, "predict", stage="before", branch="local")
    assert predicted.core == pytest.approx(40 * 1 + 40 * 15 * 0.02)
    assert predicted.disk == 40 * 15 * (10 + 50)
    # Of both branches 820 and 12,300 records; the larger LMDB's once more, while it is built.
    assert costs.passing() == 4096 * (820 + 12_300 + 12_300)


def test_a_program_has_to_start(root: Path, costs: Costs) -> None:
    started = Costs(costs.study, IMAGES, 2.0, CUTS, costs.networks, (0.5, 6))
    assert cost(started, "mask").core == pytest.approx(2 * (STARTS["mask"] + SNAKEMAKE))
    assert cost(started, "a_new_rule").core == pytest.approx(2 * (1 + SNAKEMAKE))


def test_cards_are_derived_from_flops() -> None:
    network = Network(Path("deploy.prototxt"), batch=10, flops=2_000_000_000)
    # An iteration is three forward passes of 10 images: 60 GFLOP, at 20% of 11.3 TFLOP/s.
    assert on_named_card("GTX 1080 Ti").times(network).iteration == pytest.approx(60e9 / (0.2 * 11.3e12))
    assert "derived" in on_named_card("GTX 1080 Ti").name and all(card.share < 1 for card in CARDS.values())
    given = at_iterations(25, network)
    assert given.times(network).iteration == pytest.approx(1 / 25)
    assert given.times(Network(Path("other"), 50, 4_000_000_000)).iteration == pytest.approx(10 / 25)


def test_table_7_s_shares() -> None:
    assert shares_left(0) == (1, 1)
    assert shares_left(0.5) == pytest.approx((1861.8 / 2920.3, 1.76 / 3.77))
    assert shares_left(0.55) == pytest.approx(((1861.8 + 1663.1) / 2 / 2920.3, (1.76 + 1.40) / 2 / 3.77))
    assert shares_left(1) == pytest.approx((1063.8 / 2920.3, 0.29 / 3.77))
