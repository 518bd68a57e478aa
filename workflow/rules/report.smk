# Cost, time, example pictures, tables and the report.


rule cost:
    input:
        f"{PLACE}/net",
    output:
        f"{PLACE}/cost.json",
    shell:
        "{PYTHON} tools/cost.py --model {input}/deploy.prototxt --json > {output}"


rule time:
    input:
        net=f"{PLACE}/net",
        model=f"{PLACE}/model.caffemodel",
    output:
        f"{PLACE}/time.json",
    threads: workflow.cores  # nothing else runs while it measures
    shell:
        "{PYTHON} tools/caffe_time.py --model {input.net}/deploy.prototxt --weights {input.model} --out {output}"


rule examples:
    input:
        f"{EXPERIMENTS[0]}/lmdb/{{branch}}",
    output:
        f"{RESULTS}/examples/training_records_{{branch}}.png",
    shell:
        "{PYTHON} data_prep/show_lmdb.py --lmdb {input}/train --out {output}"


rule stage:
    input:
        lambda wildcards: f"{EXPERIMENT}/{{stage}}/local/sparsity.json" if wildcards.stage in SURGERIES else [],
    output:
        f"{EXPERIMENT}/{{stage}}/stage.json",
    run:
        settings = COMPRESSIONS.get(wildcards.stage, {})
        kept = {name: settings[name] for name in ("ratio", "loops", "method") if name in settings}
        if input:  # sparse weights: their own file's size, not the caffemodel's
            kept["bytes"] = json.loads(Path(input[0]).read_text())["bytes"]
            if settings.get("of", "before") != "before":
                kept["method"] = "channel pruning + DNS"
        Path(output[0]).write_text(json.dumps({"label": wildcards.stage, **kept}) + "\n")


RESULT_FILES = [
    f"{experiment}/{stage}/{name}"
    for experiment in EXPERIMENTS
    for stage in STAGES
    for name in (
        "stage.json",
        *(
            f"{branch}/{name}"
            for branch in BRANCHES
            for name in ("metrics.jsonl", "predictions.csv", "cost.json", "time.json", "importance.json")
        ),
    )
]


rule settings:
    input:
        RESULT_FILES,  # so that the seconds are complete
    output:
        f"{RESULTS}/run.json",
    run:
        seconds = {}
        for path in sorted(Path(RESULTS, "seconds").rglob("*.tsv")):
            step = str(path.relative_to(Path(RESULTS, "seconds")).with_suffix("")).replace("_", " ")
            seconds[step] = float(path.read_text().splitlines()[1].split("\t")[0])
        kind = "synthetic images" if SYNTHETIC else "BreaKHis"
        magnifications = " ".join(f"{value}X" for value in config["magnifications"])
        content = {
            "title": config["title"],
            "data": f"{kind}, {magnifications}, folds {' '.join(map(str, config['folds']))}",
            "synthetic": bool(SYNTHETIC),
            "dataset": "synthetic" if SYNTHETIC else "breakhis",
            "patients": "patients made up by the generator" if SYNTHETIC else "BreaKHis patients, by slide number",
            "lambda": config["lambda"],
            "width": config["network"].get("width", 1.0),
            "ratio": next((settings["ratio"] for settings in COMPRESSIONS.values() if "ratio" in settings), None),
            "seconds": seconds,
            "settings": {name: config[name] for name in ("data", "lmdb", "network", "solver", "compressions")},
        }
        Path(output[0]).write_text(json.dumps(content, indent=1) + "\n")


rule report:
    input:
        RESULT_FILES,
        [f"{RESULTS}/examples/training_records_{branch}.png" for branch in BRANCHES],
        f"{RESULTS}/run.json",
    output:
        f"{RESULTS}/report.html",
    shell:
        "{PYTHON} tools/report.py --results {RESULTS}"
