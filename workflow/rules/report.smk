# Cost, time, example pictures, tables and the report.


rule cost:
    input:
        net,
        model=f"{RESULTS}/{{stage}}/{{branch}}/model.caffemodel",
    output:
        f"{RESULTS}/{{stage}}/{{branch}}/cost.json",
    shell:
        "{PYTHON} tools/cost.py --model $(dirname {output})/net/deploy.prototxt --json > {output}"


rule time:
    input:
        net,
        model=f"{RESULTS}/{{stage}}/{{branch}}/model.caffemodel",
    output:
        f"{RESULTS}/{{stage}}/{{branch}}/time.json",
    threads: workflow.cores  # nothing else runs while it measures
    shell:
        "{PYTHON} tools/caffe_time.py --model $(dirname {output})/net/deploy.prototxt --weights {input.model} --out {output}"


rule examples:
    input:
        f"{RESULTS}/lmdb/{{branch}}",
    output:
        f"{RESULTS}/examples/training_records_{{branch}}.png",
    shell:
        "{PYTHON} data_prep/show_lmdb.py --lmdb {input}/train --out {output}"


rule settings:
    input:
        [f"{RESULTS}/{stage}/{branch}/predictions.csv" for stage in STAGES for branch in BRANCHES],
    output:
        f"{RESULTS}/run.json",
    run:
        seconds = {}
        for path in sorted(Path(RESULTS, "seconds").glob("*.tsv")):
            seconds[path.stem.replace("_", " ")] = float(path.read_text().splitlines()[1].split("\t")[0])
        kind = "synthetic images" if SYNTHETIC else "BreaKHis"
        content = {
            "title": config["title"],
            "data": f"{kind}, {config['magnification']}X, fold {config['fold']}",
            "synthetic": bool(SYNTHETIC),
            "dataset": "synthetic" if SYNTHETIC else "breakhis",
            "patients": "patients made up by the generator" if SYNTHETIC else "BreaKHis patients, by slide number",
            "lambda": config["lambda"],
            "width": config["network"].get("width", 1.0),
            "ratio": config["prune"].get("ratio"),
            "magnification": str(config["magnification"]),
            "seconds": seconds,
            "settings": {name: config[name] for name in ("data", "lmdb", "network", "solver", "prune")},
        }
        Path(output[0]).write_text(json.dumps(content, indent=1) + "\n")


rule report:
    input:
        [
            f"{RESULTS}/{stage}/{branch}/{name}"
            for stage in STAGES
            for branch in BRANCHES
            for name in ("metrics.jsonl", "predictions.csv", "cost.json", "time.json", "importance.json")
        ],
        [f"{RESULTS}/examples/training_records_{branch}.png" for branch in BRANCHES],
        f"{RESULTS}/run.json",
    output:
        f"{RESULTS}/report.html",
    shell:
        "{PYTHON} tools/report.py --results {RESULTS}"
