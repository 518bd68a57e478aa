# The methods that the paper compares with (Tables 8 and 9), on the same manifests and folds as the hybrid network.
#
# Each leaves <experiment>/compared/<method>: method.json, and one or more predictions.csv and cost.json. The config's
# section `compared` says which are run: spanhol2015, spanhol2016, bayramoglu2016. The control `colour` always is.

COMPARED = config.get("compared", {})
METHOD = f"{EXPERIMENT}/compared"
METHOD_FILES = ["colour/method.json", "colour/predictions.csv"]


# Hand-crafted features, described once for all experiments.

HAND_CRAFTED = COMPARED.get("spanhol2015", {"descriptors": []})


rule features:
    input:
        [f"{experiment}/manifest.csv" for experiment in EXPERIMENTS],
    output:
        f"{RESULTS}/features.npz",
    threads: workflow.cores
    benchmark:
        f"{RESULTS}/seconds/features.tsv"
    params:
        tree=lambda wildcards: TREE,
        descriptors=shlex.join([*HAND_CRAFTED["descriptors"], "Lab"]),
    shell:
        "{PYTHON} tools/extract_features.py --manifest {input:q} --root {params.tree:q} --descriptors {params.descriptors} "
        "--workers {threads} --out {output:q}"


# What the images' colour alone tells: of few slides it may tell the class, and a network may have learnt no more.


rule colour:
    input:
        features=f"{RESULTS}/features.npz",
        manifest=f"{EXPERIMENT}/manifest.csv",
    output:
        f"{METHOD}/colour/method.json",
        f"{METHOD}/colour/predictions.csv",
    params:
        folder=f"{METHOD}/colour",
    shell:
        "{PYTHON} tools/classify_features.py --features {input.features:q} --manifest {input.manifest:q} --descriptors Lab "
        "--classifiers LR --label 'colour alone (control)' --out {params.folder:q}"


# Spanhol et al. 2015 [9]: six descriptors and four classifiers.

if "spanhol2015" in COMPARED:
    METHOD_FILES += ["spanhol2015/method.json", "spanhol2015/predictions.csv"]

    rule spanhol2015:
        input:
            features=f"{RESULTS}/features.npz",
            manifest=f"{EXPERIMENT}/manifest.csv",
        output:
            f"{METHOD}/spanhol2015/method.json",
            f"{METHOD}/spanhol2015/predictions.csv",
        benchmark:
            f"{EXPERIMENT}/seconds/spanhol2015.tsv"
        params:
            folder=f"{METHOD}/spanhol2015",
            descriptors=shlex.join(HAND_CRAFTED["descriptors"]),
            classifiers=shlex.join(HAND_CRAFTED["classifiers"]),
        shell:
            "{PYTHON} tools/classify_features.py --features {input.features:q} --manifest {input.manifest:q} "
            "--descriptors {params.descriptors} --classifiers {params.classifiers} --out {params.folder:q}"


# Spanhol et al. 2016 [11]: four networks of patches, by size and by way of cutting, merged.

if "spanhol2016" in COMPARED:
    PATCHES = COMPARED["spanhol2016"]
    PATCH_MODEL = f"{METHOD}/spanhol2016/{{patch}}_{{cut}}"
    PATCH_MODELS = expand("{patch}_{cut}", patch=PATCHES["patches"], cut=PATCHES["cuts"])
    METHOD_FILES.append("spanhol2016/method.json")
    METHOD_FILES += [f"spanhol2016/{model}/{name}" for model in PATCH_MODELS for name in ("predictions.csv", "cost.json")]

    rule patch_lmdb:
        input:
            f"{EXPERIMENT}/manifest.csv",
        output:
            directory(f"{PATCH_MODEL}/lmdb"),
        threads: workflow.cores
        benchmark:
            f"{EXPERIMENT}/seconds/spanhol2016_lmdb_{{patch}}_{{cut}}.tsv"
        params:
            tree=lambda wildcards: TREE,
            options=options(PATCHES["lmdb"]),
        shell:
            "{PYTHON} data_prep/build_lmdb.py --manifest {input:q} --root {params.tree:q} --branch {wildcards.cut:q} "
            "--size {wildcards.patch:q} --augment 0 --workers {threads} {params.options} --out {output:q}"

    rule patch_network:
        input:
            f"{PATCH_MODEL}/lmdb",
        output:
            directory(f"{PATCH_MODEL}/net"),
        params:
            options=options({"solver-mode": "CPU", **PATCHES["solver"]}),
        shell:
            "{PYTHON} prototxt/generate.py patch-cnn --patch {wildcards.patch:q} {params.options} "
            "--train-lmdb {input:q}/train --val-lmdb {input:q}/val --out {output:q}"

    rule patch_predict:
        input:
            lmdb=f"{PATCH_MODEL}/lmdb",
            net=f"{PATCH_MODEL}/net",
            model=f"{PATCH_MODEL}/model.caffemodel",
        output:
            f"{PATCH_MODEL}/predictions.csv",
        params:
            tree=lambda wildcards: TREE,
            name=lambda wildcards: f"{wildcards.patch}x{wildcards.patch} "
            + {"window": "sliding"}.get(wildcards.cut, wildcards.cut),
        shell:
            "{PYTHON} tools/predict.py --model {input.net:q}/deploy.prototxt --weights {input.model:q} --engine caffe "
            "--manifest {input.lmdb:q}/manifest.csv --root {params.tree:q} --branch {wildcards.cut:q} --split test --merge "
            "--batch-size 200 --name {params.name:q} --out {output:q}"

    rule spanhol2016:
        output:
            f"{METHOD}/spanhol2016/method.json",
        params:
            facts=json.dumps(
                {
                    "label": "Spanhol 2016 [11]",
                    # Zhu et al. take the Max rule for it.
                    **({"fusions": ["sum", "product", "max"], "selected": "Max fusion"} if len(PATCH_MODELS) > 1 else {}),
                }
            ),
        shell:
            "{PYTHON} tools/write_facts.py --facts {params.facts:q} --out {output:q}"


# Bayramoglu et al. 2016 [17]: one network for all magnifications of a fold, predicted at each.

if "bayramoglu2016" in COMPARED:
    TOGETHER = COMPARED["bayramoglu2016"]
    ALL = "/".join([RESULTS, *(folder for level, (folder, _) in study.levels.items() if level != "magnification"), "all"])
    BY_TASK = f"{METHOD}/bayramoglu2016_{{task}}"
    METHOD_FILES += [
        f"bayramoglu2016_{task}/{name}"
        for task in TOGETHER["tasks"]
        for name in ("method.json", "predictions.csv", "cost.json")
    ]

    rule all_magnifications:
        input:
            f"{RESULTS}/data" if study.synthetic or study.slides else [],
        output:
            f"{ALL}/manifest.csv",
        params:
            splits=splits,
        shell:
            "{PYTHON} data_prep/make_manifest.py {params.splits} --out {output:q}"

    rule all_magnifications_lmdb:
        input:
            f"{ALL}/manifest.csv",
        output:
            directory(f"{ALL}/lmdb"),
        threads: workflow.cores
        benchmark:
            f"{ALL}/seconds/lmdb.tsv"
        params:
            tree=lambda wildcards: TREE,
            options=options(TOGETHER["lmdb"]),
        shell:
            "{PYTHON} data_prep/build_lmdb.py --manifest {input:q} --root {params.tree:q} --branch global "
            "--workers {threads} {params.options} --out {output:q} && "
            "{PYTHON} data_prep/label_lmdb.py --lmdb {output:q} --column magnification"

    rule magnification_network:
        input:
            f"{ALL}/lmdb",
        output:
            directory(f"{ALL}/{{task}}/net"),
        params:
            options=options({"solver-mode": "CPU", **TOGETHER["network"], **TOGETHER["solver"]}),
        shell:
            "{PYTHON} prototxt/generate.py magnification-cnn --task {wildcards.task:q} {params.options} "
            "--train-lmdb {input:q}/train --val-lmdb {input:q}/val --out {output:q}"

    rule magnification_predict:
        input:
            manifest=f"{EXPERIMENT}/manifest.csv",
            lmdb=f"{ALL}/lmdb",
            net=f"{ALL}/{{task}}/net",
            model=f"{ALL}/{{task}}/model.caffemodel",
        output:
            f"{BY_TASK}/predictions.csv",
        params:
            tree=lambda wildcards: TREE,
        shell:
            "{PYTHON} tools/predict.py --model {input.net:q}/deploy.prototxt --weights {input.model:q} --engine caffe "
            "--manifest {input.manifest:q} --preprocessing {input.lmdb:q}/test --root {params.tree:q} --branch global "
            "--split test --name {wildcards.task:q}' task' --out {output:q}"

    rule magnification_cost:
        input:
            f"{ALL}/{{task}}/net",
        output:
            f"{BY_TASK}/cost.json",
        shell:
            "{PYTHON} tools/cost.py --model {input:q}/deploy.prototxt --json > {output:q}"

    def bayramoglu_facts(wildcards):
        """What the report is told of the method."""
        width = TOGETHER["network"].get("width", 1)
        narrow = f", width {width:g}" if width != 1 else ""
        return json.dumps({"label": f"Bayramoglu 2016 [17], {wildcards.task} task{narrow}"})

    rule bayramoglu2016:
        output:
            f"{BY_TASK}/method.json",
        params:
            facts=bayramoglu_facts,
        shell:
            "{PYTHON} tools/write_facts.py --facts {params.facts:q} --out {output:q}"


# Why the re-run of [11] by Zhu et al. named one class: on the patches of one of its models in the first experiment.

STUDIES = []
if "collapse" in COMPARED:
    STUDIES = [f"{RESULTS}/collapse/collapse.json"]

    rule collapse:
        input:
            f"{EXPERIMENTS[0]}/compared/spanhol2016/{COMPARED['collapse']['patch']}_{COMPARED['collapse']['cut']}/lmdb",
        output:
            STUDIES[0],
        params:
            folder=f"{RESULTS}/collapse",
            options=options({name: value for name, value in COMPARED["collapse"].items() if name != "cut"}),
        shell:
            "{PYTHON} tools/collapse_study.py --train-lmdb {input:q}/train --val-lmdb {input:q}/val {params.options} "
            "--out {params.folder:q}"


# What the networks of both have in common: <place>/net is trained on an LMDB that lies in <place>, or beside it.



def cards_compared(wildcards):
    """How many cards the training of such a network takes."""
    method = "spanhol2016" if "/compared/" in wildcards.place else "bayramoglu2016"
    return on_gpu(COMPARED[method]["solver"])


PLACES = r"(.*/compared/spanhol2016/[0-9]+_[a-z]+|.*/all/[a-z]+)"


rule train_compared:
    input:
        lmdb=lambda wildcards: f"{wildcards.place}/lmdb" if "/compared/" in wildcards.place else f"{Path(wildcards.place).parent}/lmdb",
        net="{place}/net",
    output:
        model="{place}/model.caffemodel",
        metrics="{place}/metrics.jsonl",
    wildcard_constraints:
        place=PLACES,
    resources:
        gpu=cards_compared,
    benchmark:
        "{place}/seconds/train.tsv"
    params:
        on_card=lambda wildcards: on_card(PYTHON, cards_compared(wildcards)),
        folder="{place}/training",  # no output: what a killed job leaves is what the next one goes on from
    shell:
        "model=$({params.on_card}{PYTHON} tools/train.py --restart-if-changed --solver {input.net:q}/solver.prototxt "
        "--out {params.folder:q}) && cp {params.folder:q}/metrics.jsonl {output.metrics:q} && cp \"$model\" {output.model:q}"


rule cost_compared:
    input:
        "{place}/net",
    output:
        "{place}/cost.json",
    wildcard_constraints:
        place=PLACES,
    shell:
        "{PYTHON} tools/cost.py --model {input:q}/deploy.prototxt --json > {output:q}"


COMPARED_FILES = [f"{experiment}/compared/{name}" for experiment in EXPERIMENTS for name in METHOD_FILES] + STUDIES
