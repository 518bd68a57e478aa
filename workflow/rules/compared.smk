# The methods that the paper compares with (Tables 8 and 9), on the same manifests and folds as the hybrid network.
#
# Each leaves <experiment>/compared/<method>: method.json, and one or more predictions.csv and cost.json. The config's
# section `compared` says which are run: spanhol2015, spanhol2016, bayramoglu2016. The control `colour` always is.

COMPARED = config.get("compared", {})
METHOD = f"{IMAGES}/compared"
# Files of the study of what befell a re-run of [11], and the model on whose patches it is made.
STUDIES, STUDIED = [], None
if "collapse" in COMPARED:
    STUDIES = [f"{RESULTS}/collapse/collapse.json"]
    STUDIED = f"{EVERY_IMAGES[0]}/compared/spanhol2016/{COMPARED['collapse']['patch']}_{COMPARED['collapse']['cut']}"
METHOD_FILES = ["colour/method.json", "colour/predictions.csv"]


# Hand-crafted features, described once for all experiments.

HAND_CRAFTED = COMPARED.get("spanhol2015", {"descriptors": []})


rule features:
    input:
        [f"{experiment}/manifest.csv" for experiment in EVERY_IMAGES],
    output:
        f"{RESULTS}/features.npz",
    threads: FEW
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
        manifest=f"{IMAGES}/manifest.csv",
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
            manifest=f"{IMAGES}/manifest.csv",
        output:
            f"{METHOD}/spanhol2015/method.json",
            f"{METHOD}/spanhol2015/predictions.csv",
        benchmark:
            f"{IMAGES}/seconds/spanhol2015.tsv"
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

    def patches(place):
        """The command that cuts the patches of the model in a folder."""
        experiment, _, model = place.partition("/compared/spanhol2016/")
        size, cut = model.split("_")
        settings = {"size": size, "augment": 0, **PATCHES["lmdb"]}
        return building(f"{place}/lmdb", f"{experiment}/manifest.csv", cut, settings)

    def patches_removed(wildcards):
        """Patches are many: those of an experiment are cut when those of the one before are gone."""
        earlier = study.before(wildcards, at_once=1)
        return [f"{earlier}/compared/spanhol2016/{model}/recipe/lmdb_removed" for model in PATCH_MODELS if earlier]

    rule patch_lmdb:
        input:
            MANIFEST,
            turn=lambda wildcards: ancient(patches_removed(wildcards)),
        output:
            multiext(f"{PATCH_MODEL}/recipe/", "preprocessing.json", "manifest.csv"),
        threads: FEW
        benchmark:
            f"{IMAGES}/seconds/spanhol2016_lmdb_{{patch}}_{{cut}}.tsv"
        params:
            lmdb=f"{PATCH_MODEL}/lmdb",
            build=lambda wildcards: patches(PATCH_MODEL.format(**wildcards)),
        shell:
            "export WORKERS={threads}; rm -rf {params.lmdb:q} && {params.build} && "
            "cp {params.lmdb:q}/train/preprocessing.json {params.lmdb:q}/manifest.csv \"$(dirname {output[0]:q})\""

    rule remove_patches:
        localrule: True
        input:
            f"{PATCH_MODEL}/model.caffemodel",
            lambda wildcards: STUDIES if PATCH_MODEL.format(**wildcards) == STUDIED else [],
        output:
            touch(f"{PATCH_MODEL}/recipe/lmdb_removed"),
        params:
            lmdb=f"{PATCH_MODEL}/lmdb",
        shell:
            "rm -rf {params.lmdb:q} {params.lmdb:q}.turn"

    rule patch_network:
        input:
            f"{PATCH_MODEL}/recipe/preprocessing.json",
        output:
            directory(f"{PATCH_MODEL}/net"),
        params:
            lmdb=f"{PATCH_MODEL}/lmdb",
            build=lambda wildcards: compared_lmdb_there(PATCH_MODEL.format(**wildcards)),
            options=options({"solver-mode": "CPU", **PATCHES["solver"]}),
        shell:
            "export WORKERS={threads}; {params.build} && {PYTHON} prototxt/generate.py patch-cnn "
            "--patch {wildcards.patch:q} {params.options} --train-lmdb {params.lmdb:q}/train "
            "--val-lmdb {params.lmdb:q}/{VAL} --out {output:q}"

    rule patch_predict:
        input:
            recipe=multiext(f"{PATCH_MODEL}/recipe/", "preprocessing.json", "manifest.csv"),
            net=f"{PATCH_MODEL}/net",
            model=f"{PATCH_MODEL}/model.caffemodel",
        output:
            f"{PATCH_MODEL}/predictions.csv",
        resources:
            gpu=on_gpu(PATCHES["solver"]),
        params:
            on_card=on_card(PYTHON, on_gpu(PATCHES["solver"])),
            gpu="--gpu 0" if on_gpu(PATCHES["solver"]) else "",
            tree=lambda wildcards: TREE,
            name=lambda wildcards: f"{wildcards.patch}x{wildcards.patch} "
            + {"window": "sliding"}.get(wildcards.cut, wildcards.cut),
        shell:
            "{params.on_card}{PYTHON} tools/predict.py --model {input.net:q}/deploy.prototxt --weights {input.model:q} "
            "--engine caffe {params.gpu} --manifest {input.recipe[1]:q} --root {params.tree:q} "
            "--branch {wildcards.cut:q} --split test --merge "
            "--batch-size 200 --name {params.name:q} --out {output:q}"

    rule spanhol2016:
        localrule: True
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
    ALL = study.together
    BY_TASK = f"{METHOD}/bayramoglu2016_{{task}}"
    METHOD_FILES += [
        f"bayramoglu2016_{task}/{name}"
        for task in TOGETHER["tasks"]
        for name in ("method.json", "predictions.csv", "cost.json")
    ]

    rule all_magnifications:
        localrule: True
        input:
            f"{RESULTS}/data" if study.synthetic or study.slides else [],
        output:
            f"{ALL}/manifest.csv",
        params:
            splits=splits,
        shell:
            "{PYTHON} data_prep/make_manifest.py {params.splits} --out {output:q}"

    def labelled(home):
        """The command that builds the LMDB of all magnifications in a folder, with the second label."""
        build = building(f"{home}/lmdb", f"{home}/manifest.csv", "global", TOGETHER["lmdb"])
        return f"{build} && {PYTHON} data_prep/label_lmdb.py --lmdb {shlex.quote(f'{home}/lmdb')} --column magnification"

    def all_removed(wildcards):
        """The LMDB of a fold is built when that of the fold before is gone."""
        folds = list(dict.fromkeys(ALL.format(**place) for place in study.places))
        index = folds.index(ALL.format(**wildcards)) - 1
        return [f"{folds[index]}/recipe/lmdb_removed"] if index >= 0 else []

    rule all_magnifications_lmdb:
        input:
            f"{ALL}/manifest.csv",
            turn=lambda wildcards: ancient(all_removed(wildcards)),
        output:
            multiext(f"{ALL}/recipe/", "preprocessing.json", "manifest.csv"),
        threads: FEW
        benchmark:
            f"{ALL}/seconds/lmdb.tsv"
        params:
            lmdb=f"{ALL}/lmdb",
            build=lambda wildcards: labelled(ALL.format(**wildcards)),
        shell:
            "export WORKERS={threads}; rm -rf {params.lmdb:q} && {params.build} && "
            "cp {params.lmdb:q}/train/preprocessing.json {params.lmdb:q}/manifest.csv \"$(dirname {output[0]:q})\""

    rule remove_all_magnifications_lmdb:
        localrule: True
        input:
            [f"{ALL}/{task}/model.caffemodel" for task in TOGETHER["tasks"]],
        output:
            touch(f"{ALL}/recipe/lmdb_removed"),
        params:
            lmdb=f"{ALL}/lmdb",
        shell:
            "rm -rf {params.lmdb:q} {params.lmdb:q}.turn"

    rule magnification_network:
        input:
            f"{ALL}/recipe/preprocessing.json",
        output:
            directory(f"{ALL}/{{task}}/net"),
        params:
            lmdb=f"{ALL}/lmdb",
            build=lambda wildcards: compared_lmdb_there(f"{ALL.format(**wildcards)}/{wildcards.task}"),
            options=options({"solver-mode": "CPU", **TOGETHER["network"], **TOGETHER["solver"]}),
        shell:
            "export WORKERS={threads}; {params.build} && {PYTHON} prototxt/generate.py magnification-cnn "
            "--task {wildcards.task:q} {params.options} --train-lmdb {params.lmdb:q}/train "
            "--val-lmdb {params.lmdb:q}/{VAL} --out {output:q}"

    rule magnification_predict:
        input:
            manifest=f"{IMAGES}/manifest.csv",
            recipe=f"{ALL}/recipe/preprocessing.json",
            net=f"{ALL}/{{task}}/net",
            model=f"{ALL}/{{task}}/model.caffemodel",
        output:
            f"{BY_TASK}/predictions.csv",
        resources:
            gpu=on_gpu(TOGETHER["solver"]),
        params:
            on_card=on_card(PYTHON, on_gpu(TOGETHER["solver"])),
            gpu="--gpu 0" if on_gpu(TOGETHER["solver"]) else "",
            tree=lambda wildcards: TREE,
        shell:
            "{params.on_card}{PYTHON} tools/predict.py --model {input.net:q}/deploy.prototxt --weights {input.model:q} "
            "--engine caffe {params.gpu} --manifest {input.manifest:q} --preprocessing {input.recipe:q} "
            "--root {params.tree:q} --branch global "
            "--split test --name {wildcards.task:q}' task' --out {output:q}"

    rule magnification_cost:
        localrule: True
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
        return json.dumps({"label": f"Levi & Hassner 2015, for [17], {wildcards.task} task{narrow}"})

    rule bayramoglu2016:
        localrule: True
        output:
            f"{BY_TASK}/method.json",
        params:
            facts=bayramoglu_facts,
        shell:
            "{PYTHON} tools/write_facts.py --facts {params.facts:q} --out {output:q}"


# Why the re-run of [11] by Zhu et al. named one class: on the patches of one of its models in the first experiment.

if "collapse" in COMPARED:

    rule collapse:
        input:
            f"{STUDIED}/recipe/preprocessing.json",
        output:
            STUDIES[0],
        params:
            lmdb=f"{STUDIED}/lmdb",
            build=lambda wildcards: compared_lmdb_there(STUDIED),
            folder=f"{RESULTS}/collapse",
            options=options({name: value for name, value in COMPARED["collapse"].items() if name != "cut"}),
        shell:
            "export WORKERS={threads}; {params.build} && {PYTHON} tools/collapse_study.py "
            "--train-lmdb {params.lmdb:q}/train --val-lmdb {params.lmdb:q}/{VAL} {params.options} --out {params.folder:q}"


# What the networks of both have in common: <place>/net is trained on an LMDB that lies in <place>, or beside it.


def cards_compared(wildcards):
    """How many cards the training of such a network takes."""
    method = "spanhol2016" if "/compared/" in wildcards.place else "bayramoglu2016"
    return on_gpu(COMPARED[method]["solver"])


def lmdb_home(place):
    """The folder in which the LMDB of such a network lies: its own, or that of all magnifications."""
    return place if "/compared/" in place else str(Path(place).parent)


def compared_lmdb_there(place):
    """The command after which that LMDB is there."""
    home = lmdb_home(place)
    return unless_there(f"{home}/lmdb", patches(home) if "/compared/" in place else labelled(home))


PLACES = r"(.*/compared/spanhol2016/[0-9]+_[a-z]+|.*/all/[a-z]+)"


rule train_compared:
    input:
        recipe=lambda wildcards: f"{lmdb_home(wildcards.place)}/recipe/preprocessing.json",
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
        build=lambda wildcards: compared_lmdb_there(wildcards.place),
        folder="{place}/training",  # no output: what a killed job leaves is what the next one goes on from
    shell:
        "export WORKERS={threads}; {params.build} && model=$({params.on_card}{PYTHON} tools/train.py --restart-if-changed {KEEP} --solver {input.net:q}/solver.prototxt "
        "--out {params.folder:q}) && cp {params.folder:q}/metrics.jsonl {output.metrics:q} && cp \"$model\" {output.model:q}"


rule cost_compared:
    localrule: True
    input:
        "{place}/net",
    output:
        "{place}/cost.json",
    wildcard_constraints:
        place=PLACES,
    shell:
        "{PYTHON} tools/cost.py --model {input:q}/deploy.prototxt --json > {output:q}"


COMPARED_FILES = [f"{experiment}/compared/{name}" for experiment in EVERY_IMAGES for name in METHOD_FILES] + STUDIES
REMOVED = [f"{experiment}/recipe/{branch}/lmdb_removed" for experiment in EVERY_IMAGES for branch in BRANCHES]
if "spanhol2016" in COMPARED:
    REMOVED += [
        f"{experiment}/compared/spanhol2016/{model}/recipe/lmdb_removed" for experiment in EVERY_IMAGES for model in PATCH_MODELS
    ]
if "bayramoglu2016" in COMPARED:
    REMOVED += dict.fromkeys(f"{ALL.format(**place)}/recipe/lmdb_removed" for place in study.places)
