"""How many cores the workflow's jobs share out among themselves, on this machine or on a cluster."""

import os
from typing import Any

TOLD = "PYHISTO_CORES"
"""The environment variable by which jobs that run elsewhere, and read the Snakefile again, are told the same number."""
ELSEWHERE = 8
"""What the largest job asks for, if jobs run elsewhere and --max-threads does not say otherwise."""


def cores(workflow: Any) -> int:
    """The cores of this machine that --cores gives; on a cluster, those that one job may ask for."""
    given = workflow.resource_settings
    return int(os.environ.setdefault(TOLD, str(given.cores or given.max_threads or ELSEWHERE)))


def few(count: int) -> int:
    """How many a job takes whose work can be shared: enough to be quick, and few enough that others run beside it."""
    return max(1, min(4, count // 2))
