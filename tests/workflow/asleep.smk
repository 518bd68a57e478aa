# workflow/Snakefile with its jobs asleep: a job makes its files, sleeps for the seconds that the config's `asleep` says of
# its rule (else for none), and writes a line of asleep.tsv: rule, begin, end, threads, cards. Jobs wait for one another,
# and for cores and cards, as the real ones do; no data, network or card need be there.
import sys
import time
from pathlib import Path

from snakemake.io import is_flagged

sys.path.insert(0, str(Path(workflow.basedir, "../../workflow").resolve()))


include: "../../workflow/Snakefile"


onstart:
    pass


def sleep(input, output, params, wildcards, threads, resources, log, name, *others):
    """Instead of a rule's command."""
    began = time.time()
    time.sleep(config.get("asleep", {}).get(name, 0))
    for file, pattern in zip(output, workflow.get_rule(name).output):
        place = Path(file)
        (place if is_flagged(pattern, "directory") else place.parent).mkdir(parents=True, exist_ok=True)
        if not place.is_dir():
            place.touch()
    with open("asleep.tsv", "a") as file:
        file.write(f"{name}\t{began}\t{time.time()}\t{threads}\t{resources.get('gpu', 0)}\n")


for each in workflow.rules:
    each.run_func = each.run_func and sleep
    each._benchmark = None
workflow.default_target = "all"
