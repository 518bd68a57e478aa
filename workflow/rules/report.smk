# Cost, time, example pictures, tables and the report.


rule cost:
    localrule: True
    input:
        net=f"{PLACE}/net",
        model=f"{PLACE}/model.caffemodel",
    output:
        f"{PLACE}/cost.json",
    shell:
        "{PYTHON} tools/cost.py --model {input.net:q}/deploy.prototxt --weights {input.model:q} --json > {output:q}"


# A study on a busy machine may do without: nothing else may run while networks are timed.
TIMED = config.get("times", True)


rule times:
    input:
        [f"{EXPERIMENT}/{stage}/{branch}/net" for stage in STAGES for branch in BRANCHES],
    output:
        [f"{EXPERIMENT}/{stage}/{branch}/time.json" for stage in STAGES for branch in BRANCHES],
    threads: CORES  # nothing else of the workflow runs while it measures
    params:
        models=lambda wildcards, input: [f"{net}/deploy.prototxt" for net in input],
    shell:
        "{PYTHON} tools/caffe_time.py --model {params.models:q} --out {output:q}"


rule examples:
    input:
        f"{EVERY_IMAGES[0]}/recipe/{{branch}}/preprocessing.json",
    output:
        f"{RESULTS}/examples/training_records_{{branch}}.png",
    params:
        lmdb=f"{EVERY_IMAGES[0]}/lmdb/{{branch}}",
        build=lambda wildcards: unless_there(
            f"{EVERY_IMAGES[0]}/lmdb/{wildcards.branch}",
            building(f"{EVERY_IMAGES[0]}/lmdb/{wildcards.branch}", f"{EVERY_IMAGES[0]}/manifest.csv", wildcards.branch, config["lmdb"]),
        ),
    shell:
        "export WORKERS={threads}; {params.build} && {PYTHON} data_prep/show_lmdb.py --lmdb {params.lmdb:q}/train --out {output:q}"


# Channel prunings by other criteria than the paper's, as figures name them.
METHODS = {"slimming": "network slimming", "l1": "channel pruning by L1 norm", "random": "channel pruning at random"}


def stage_facts(wildcards):
    """What the report is told of a stage."""
    settings = COMPRESSIONS.get(wildcards.stage, {})
    kept = {name: settings[name] for name in ("ratio", "loops", "method") if name in settings}
    if settings.get("criterion", "sep") != "sep":
        kept["method"] = METHODS[settings["criterion"]]
    if wildcards.stage in LOOPS:
        kept["recalibrated_over"] = RECALIBRATION
    if settings.get("method") == "DNS" and settings.get("of", "before") != "before":
        kept["method"] = "channel pruning + DNS"
    return json.dumps({"label": wildcards.stage, **kept})


rule stage:
    localrule: True
    output:
        f"{EXPERIMENT}/{{stage}}/stage.json",
    params:
        facts=stage_facts,
    shell:
        "{PYTHON} tools/write_facts.py --facts {params.facts:q} --out {output:q}"


# Data set -> what it is called, and who counts as a patient.
KINDS = {
    "breakhis": ("BreaKHis", "BreaKHis patients, by slide number"),
    "breakhis-eva": ("BreaKHis, the task of kaiko-ai/eva", "BreaKHis patients, by slide number"),
    "bach": ("BACH photos", "No patients are known: each photo counts as one"),
    "bisque": ("BISQUE", "BISQUE's tissue microarrays count as patients"),
    "folder": (
        study.data.get("name", "images of a folder"),
        "Patients as the config finds them in the images' paths"
        if {"patients", "patient-pattern"} & set(study.data)
        else "No patients are known: each image counts as one",
    ),
}

SETTINGS = ("lmdb", "network", "solver", "retraining", "importance", "pruning", "compressions", "compared")

RESULT_FILES = [
    f"{experiment}/{stage}/{name}"
    for experiment in EXPERIMENTS
    for stage in STAGES
    for name in (
        "stage.json",
        *(
            f"{branch}/{name}"
            for branch in BRANCHES
            for name in ("metrics.jsonl", "predictions.csv", "cost.json", *(["time.json"] if TIMED else []))
        ),
    )
]
RESULT_FILES += [name for branch in BRANCHES for name in importances(branch)]
RESULT_FILES += [
    f"{experiment}/{stage}/{branch}/{name}.csv"
    for experiment in EXPERIMENTS
    for stage in LOOPS
    for branch in BRANCHES
    for name in (*(f"steps/{step}" for step in STEPS), "predictions")
]


def run_facts(wildcards):
    """What the report is told of the whole run."""
    kind = "synthetic images" if study.synthetic else "BACH slides" if study.slides else KINDS[study.data_set][0]
    parts = [
        f"{level}{'s'[: len(numbers) > 1]} {' '.join(map(str, numbers))}" for level, (_, numbers) in study.levels.items()
    ]
    facts = {
        "title": config["title"],
        "data": ", ".join([kind, *parts]),
        "synthetic": bool(study.synthetic),
        "dataset": "synthetic" if study.synthetic else "bach" if study.slides else study.data_set,
        "patients": (
            "patients made up by the generator" if study.synthetic else study.patients or KINDS[study.data_set][1]
        ),
        "stages": STAGES,
        **({"classes": config["classes"]} if "classes" in config else {}),
        "root": study.tree,
        "follow_links": study.follow_links,
        **({"lambda": config["lambda"]} if "lambda" in config else {}),
        **({} if "widths-of" in config["network"] else {"width": config["network"].get("width", 1.0)}),
        "ratio": next((settings["ratio"] for settings in COMPRESSIONS.values() if "ratio" in settings), None),
        "settings": {
            "data": study.data_used,
            **{name: config[name] for name in SETTINGS if name in config},
        },
    }
    return json.dumps(facts)


rule settings:
    localrule: True
    input:
        RESULT_FILES,
        COMPARED_FILES,  # so that the seconds are complete
    output:
        f"{RESULTS}/run.json",
    params:
        facts=run_facts,
    shell:
        "{PYTHON} tools/write_facts.py --facts {params.facts:q} --seconds {RESULTS:q} --versions --out {output:q}"


# The same method under another protocol, if that was run: the report shows both.
BESIDE = study.beside if study.beside and Path(study.beside, "run.json").exists() else None


rule report:
    input:
        RESULT_FILES,
        COMPARED_FILES,
        [f"{RESULTS}/examples/training_records_{branch}.png" for branch in BRANCHES],
        f"{RESULTS}/run.json",
        f"{RESULTS}/bundle" if BUNDLE else [],  # for its calibration
        beside=f"{BESIDE}/run.json" if BESIDE else [],
    output:
        f"{RESULTS}/report.html",
    params:
        beside=["--beside", BESIDE] if BESIDE else [],
    shell:
        "{PYTHON} tools/report.py --results {RESULTS:q} {params.beside:q}"
