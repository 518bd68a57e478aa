"""Cards for the workflow's jobs: each is given its own, and a run that needs what is not there does not begin.

A job says how many cards it takes by the resource `gpu`. Its command is run by tools/on_card.py, which waits for that
many free ones and hides the others from it, so that jobs side by side, of one run or of several, use different cards.
"""

import sys
from collections.abc import Mapping
from typing import Any

from pyhisto.devices.check import fault
from pyhisto.errors import InputError


def on_gpu(solver: Mapping[str, Any]) -> int:
    """How many cards a job takes whose solver has these settings: 1, or 0 for one on the CPU."""
    return int(solver.get("solver-mode") == "GPU")


def on_card(python: str, cards: int) -> str:
    """What stands before the command of a job that takes so many cards."""
    return f"{python} tools/on_card.py --cards {cards} " if cards else ""


def stop_without_cards(workflow: Any) -> None:
    """Exit with one line if jobs that are to run on this machine need cards that Caffe cannot use here.

    For Snakemake's `onstart`, which comes before the first job, and not in a dry run. If an executor runs the jobs
    elsewhere nothing is asked: that machine need not have a card, and every program asks where it runs.
    """
    if workflow.non_local_exec:
        return
    wanted = {job.rule.name: job.resources.get("gpu", 0) for job in workflow.dag.needrun_jobs()}
    rules = sorted(rule for rule, cards in wanted.items() if cards)
    try:
        found = fault(range(max(wanted.values()))) if rules else None
    except InputError as error:  # there is no Caffe
        sys.exit(f"workflow: {error}")
    if found:
        what, remedy = found
        sys.exit(
            f"workflow: {', '.join(rules)} would run on a card (solver-mode: GPU), but {what}: {remedy}, or say "
            "solver-mode: CPU in the config"
        )
