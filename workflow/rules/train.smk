# Generate, train, measure importance, prune, retrain; predict with every network.

SOLVER = config["solver"]
NETWORK_FILES = ["train_val.prototxt", "deploy.prototxt", "statistics.prototxt", "solver.prototxt"]


rule network:
    input:
        f"{RESULTS}/lmdb/{{branch}}",
    output:
        [f"{RESULTS}/before/{{branch}}/net/{name}" for name in NETWORK_FILES],
    params:
        options=options({**config["network"], **SOLVER}),
    shell:
        "{PYTHON} prototxt/generate.py inception-sep {params.options} --train-lmdb {input}/train --val-lmdb {input}/val "
        "--out $(dirname {output[0]})"


rule train:
    input:
        lmdb=f"{RESULTS}/lmdb/{{branch}}",
        net=rules.network.output,
    output:
        model=f"{RESULTS}/before/{{branch}}/model.caffemodel",
        metrics=f"{RESULTS}/before/{{branch}}/metrics.jsonl",
    benchmark:
        f"{RESULTS}/seconds/train_{{branch}}.tsv"
    shell:
        "model=$({PYTHON} tools/train.py --restart-if-changed --solver {input.net[3]} --out $(dirname {output.model})) && cp $model {output.model}"


rule prune:
    input:
        net=rules.network.output,
        model=f"{RESULTS}/before/{{branch}}/model.caffemodel",
        importance=f"{RESULTS}/before/{{branch}}/importance.json",
    output:
        directory(f"{RESULTS}/after/{{branch}}/net"),
    params:
        options=options(config["prune"]),
    shell:
        "{PYTHON} tools/prune.py --model {input.net[1]} --also {input.net[0]} {input.net[2]} {input.net[3]} --weights {input.model} "
        "--importance {input.importance} {params.options} --out {output}"


rule retrain:
    input:
        lmdb=f"{RESULTS}/lmdb/{{branch}}",
        net=f"{RESULTS}/after/{{branch}}/net",
    output:
        model=f"{RESULTS}/after/{{branch}}/model.caffemodel",
        metrics=f"{RESULTS}/after/{{branch}}/metrics.jsonl",
    benchmark:
        f"{RESULTS}/seconds/retrain_{{branch}}.tsv"
    shell:
        "model=$({PYTHON} tools/train.py --restart-if-changed --solver {input.net}/solver.prototxt --weights {input.net}/model.caffemodel "
        "--out $(dirname {output.model})) && cp $model {output.model}"


def net(wildcards):
    """The folder of a stage's prototxts: as files where a rule makes files, else the folder that a rule makes."""
    return rules.network.output if wildcards.stage == "before" else f"{RESULTS}/after/{wildcards.branch}/net"


rule importance:
    input:
        net,
        lmdb=f"{RESULTS}/lmdb/{{branch}}",
        model=f"{RESULTS}/{{stage}}/{{branch}}/model.caffemodel",
    output:
        f"{RESULTS}/{{stage}}/{{branch}}/importance.json",
    benchmark:
        f"{RESULTS}/seconds/importance_{{stage}}_{{branch}}.tsv"
    shell:
        "{PYTHON} tools/channel_importance.py --model $(dirname {output})/net/statistics.prototxt --weights {input.model} --out {output}"


rule predict:
    input:
        net,
        lmdb=f"{RESULTS}/lmdb/{{branch}}",
        model=f"{RESULTS}/{{stage}}/{{branch}}/model.caffemodel",
    output:
        f"{RESULTS}/{{stage}}/{{branch}}/predictions.csv",
    params:
        tree=shlex.quote(TREE),
    shell:
        "{PYTHON} tools/predict.py --model $(dirname {output})/net/deploy.prototxt --weights {input.model} --engine caffe "
        "--manifest {input.lmdb}/manifest.csv --root {params.tree} --branch {wildcards.branch} --split test --out {output}"
