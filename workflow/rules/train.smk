# Generate, train, measure importance, prune, retrain; predict with every network.

PLACE = f"{EXPERIMENT}/{{stage}}/{{branch}}"
# A compression prunes channels and trains on, or it is Dynamic Network Surgery on the stage that it is `of`; or it is the
# control of both, which only trains on; or none at all: the first training again, from other weights.
SURGERIES = [name for name, settings in COMPRESSIONS.items() if settings.get("method") == "DNS"]
CONTROLS = [name for name, settings in COMPRESSIONS.items() if settings.get("method") == "training alone"]
STARTED = study.started
PRUNINGS = study.prunings
# Network slimming trains with its penalty first, and prunes what comes of that.
SLIMMING = {name: settings for name, settings in COMPRESSIONS.items() if settings.get("criterion") == "slimming"}
try:
    GPU, CARDS = study.gpu, study.cards
except InputError as error:
    sys.exit(f"workflow: {error}")
# A job sees its own card alone, as number 0.
ON_CARD, ON_GPU = on_card(PYTHON, GPU), "--gpu 0" if GPU else ""
TRAIN_ON_CARDS = on_card(PYTHON, CARDS)
ON_GPUS = f"--gpu {','.join(map(str, range(CARDS)))}" if CARDS > 1 else ""
# The snapshots of a training that stay: the newest.
KEEP = "--keep-snapshots 2"
# The steps of a pruning before its network is trained on, which are shown of these stages (of some, or none, if the
# config says steps: [their names], or false). BatchNorm is recalibrated over so many training batches.
STEPS, RECALIBRATION = ("masked", "cut", "recalibrated"), 100
STEPS_OF = config.get("steps", True)
LOOPS = study.loops if STEPS_OF is True else [stage for stage in study.loops if stage in (STEPS_OF or [])]
PRUNED = "|".join([*map(re.escape, PRUNINGS), *(f"loops/{re.escape(name)}_[0-9]+" for name in PRUNINGS)]) or "none"
OPERATED = "|".join(map(re.escape, SURGERIES)) or "none"
CONTINUED = "|".join(map(re.escape, CONTROLS)) or "none"
FIRST = "|".join(map(re.escape, ["before", *STARTED]))  # stages that make no other network smaller

# On the CPU, trainings that can run side by side share the cores: one each, if there are as many branches and experiments.
# Other numbers of threads round the sums of a training otherwise; the same number gives the same bytes.
TRAINING_THREADS = 1 if GPU else max(1, CORES // (len(BRANCHES) * len(EXPERIMENTS)))


def loop(stage):
    """Of a compression's stage: its settings, and which of its loops it is (the last one bears its name alone)."""
    name, _, number = stage.removeprefix("loops/").rpartition("_") if stage.startswith("loops/") else (stage, "", "")
    return COMPRESSIONS[name], int(number or COMPRESSIONS[name].get("loops", 1)), name


def previous(wildcards):
    """The folder of the stage that a compression's loop starts from."""
    settings, number, name = loop(wildcards.stage)
    stage = settings.get("of", "before") if number == 1 else f"loops/{name}_{number - 1}"
    return EXPERIMENT.format(**wildcards) + f"/{stage}/{wildcards.branch}"


def net_to_compress(wildcards):
    """The network that a compression's loop starts from, with the solver that it is to learn by."""
    folder = previous(wildcards)
    retrains = "retraining" in config and Path(folder).parent.name == "before"
    return f"{folder}/{'retraining' if retrains else 'net'}"


def model_to_prune(wildcards):
    """The weights that a compression's loop cuts: of slimming what a training with the penalty has left."""
    settings, number, name = loop(wildcards.stage)
    if name in SLIMMING:
        penalty = settings["slimming"]
        return f"{previous(wildcards)}/slimming/{penalty['lambda-l1']}_{penalty['iterations']}/model.caffemodel"
    return previous(wildcards) + "/model.caffemodel"


def seeded(wildcards, option):
    """The option that gives an experiment's seed to a program, where it has one."""
    return {option: wildcards.seed} if "seed" in study.levels else {}


def criterion(wildcards):
    """The options of prune.py for a compression's loop."""
    settings, number, _ = loop(wildcards.stage)
    own = {name: value for name, value in settings.items() if name not in ("of", "slimming")}
    return options({**config.get("pruning", {}), **own, "loop": number, **seeded(wildcards, "seed")})


def network_options(wildcards, training):
    """The options of generate.py: the first training's, or those by which compressed networks train on."""
    solver = {**config["solver"], **(config.get("retraining", {}) if training == "retraining" else {})}
    solver |= COMPRESSIONS[wildcards.stage].get("solver", {}) if wildcards.stage in STARTED else {}
    solver |= seeded(wildcards, "random-seed")
    return options({"solver-mode": "CPU", **config["network"], **solver, "cards": max(1, CARDS)})


rule network:
    input:
        f"{RECIPE}/preprocessing.json",
    output:
        directory(f"{PLACE}/{{training}}"),
    wildcard_constraints:
        stage=FIRST,
        training="net|retraining",
    params:
        lmdb=LMDB,
        build=lmdb_there,
        options=lambda wildcards: network_options(wildcards, wildcards.training),
    shell:
        "export WORKERS={threads}; {params.build} && {PYTHON} prototxt/generate.py inception-sep {params.options} "
        "--train-lmdb {params.lmdb:q}/train --val-lmdb {params.lmdb:q}/{VAL} --out {output:q}"


rule prune:
    input:
        net=net_to_compress,
        model=model_to_prune,
        importance=lambda wildcards: (
            previous(wildcards) + "/importance.json" if loop(wildcards.stage)[0]["criterion"] == "sep" else []
        ),
    output:
        directory(f"{PLACE}/net"),
    wildcard_constraints:
        stage=PRUNED,
    params:
        options=criterion,
        importance=lambda wildcards, input: ["--importance", input.importance] if input.importance else [],
    shell:
        "{PYTHON} tools/prune.py --model {input.net:q}/deploy.prototxt --also {input.net:q}/train_val.prototxt "
        "{input.net:q}/statistics.prototxt {input.net:q}/solver.prototxt --weights {input.model:q} {params.importance:q} "
        "{params.options} --out {output:q}"


def importances(branch):
    """The channels' importance before and after, of fig. 11, of one experiment; else it is measured if a loop needs it."""
    return [f"{EXPERIMENTS[0]}/{stage}/{branch}/importance.json" for stage in ["before", *PRUNINGS[:1]]]


def start(wildcards):
    """The file of weights that a first training starts from, layers matched by name, if the config names any."""
    return STARTED.get(wildcards.stage) or (study.pretrained if wildcards.stage == "before" else None) or []


def weights(wildcards):
    """What a training starts from: what pruning left; at first published weights, if the config names any."""
    if re.fullmatch(FIRST, wildcards.stage):
        return ["--weights", start(wildcards)] if start(wildcards) else []
    return ["--weights", f"{PLACE.format(**wildcards)}/net/model.caffemodel"]


# A training with the penalty belongs to the stage that it starts from: several ratios prune what it leaves.
rule slimming:
    input:
        recipe=f"{RECIPE}/preprocessing.json",
        net=lambda wildcards: f"{PLACE.format(**wildcards)}/{'retraining' if 'retraining' in config else 'net'}",
        model=f"{PLACE}/model.caffemodel",
    output:
        f"{PLACE}/slimming/{{penalty}}_{{iterations}}/model.caffemodel",
    wildcard_constraints:
        stage=f"before|{PRUNED}",
        penalty="[0-9.e+-]+",
        iterations="[0-9]+",
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    benchmark:
        f"{EXPERIMENT}/seconds/slimming_{{stage}}_{{branch}}_{{penalty}}_{{iterations}}.tsv"
    params:
        build=lmdb_there,
        folder=f"{PLACE}/slimming/{{penalty}}_{{iterations}}/training",
    shell:
        "export WORKERS={threads}; {params.build} && OPENBLAS_NUM_THREADS={threads} {ON_CARD}{PYTHON} tools/train_slimming.py --restart-if-changed {KEEP} --solver {input.net:q}/solver.prototxt --weights {input.model:q} "
        "--lambda-l1 {wildcards.penalty} --iterations {wildcards.iterations} --out {params.folder:q} && cp {params.folder:q}/model.caffemodel {output:q}"


rule train:
    input:
        recipe=f"{RECIPE}/preprocessing.json",
        net=f"{PLACE}/net",
        start=start,
    output:
        model=f"{PLACE}/model.caffemodel",
        metrics=f"{PLACE}/metrics.jsonl",
    wildcard_constraints:
        stage=f"{FIRST}|{PRUNED}|{CONTINUED}",
    threads: TRAINING_THREADS
    resources:
        gpu=CARDS,
    benchmark:
        f"{EXPERIMENT}/seconds/train_{{stage}}_{{branch}}.tsv"
    params:
        build=lmdb_there,
        weights=weights,
        folder=f"{PLACE}/training",  # no output: what a killed job leaves is what the next one goes on from
    shell:
        "export WORKERS={threads}; {params.build} && model=$(OPENBLAS_NUM_THREADS={threads} {TRAIN_ON_CARDS}{PYTHON} tools/train.py --restart-if-changed {KEEP} --solver {input.net:q}/solver.prototxt "
        "{params.weights:q} {ON_GPUS} --out {params.folder:q}) && cp {params.folder:q}/metrics.jsonl {output.metrics:q} && cp \"$model\" {output.model:q}"


rule continued_network:
    input:
        f"{EXPERIMENT}/before/{{branch}}/model.caffemodel",
    output:
        directory(f"{PLACE}/net"),
    wildcard_constraints:
        stage=CONTINUED,
    params:
        lmdb=LMDB,
        build=lmdb_there,
        options=lambda wildcards: network_options(wildcards, "retraining"),
    shell:
        "export WORKERS={threads}; {params.build} && {PYTHON} prototxt/generate.py inception-sep {params.options} "
        "--train-lmdb {params.lmdb:q}/train --val-lmdb {params.lmdb:q}/{VAL} --out {output:q} && cp {input:q} {output:q}"


rule surgery_network:
    localrule: True
    input:
        net_to_compress,
    output:
        directory(f"{PLACE}/net"),
    wildcard_constraints:
        stage=OPERATED,
    shell:
        "mkdir -p {output:q} && cp {input:q}/*.prototxt {output:q}"


rule surgery:
    input:
        recipe=f"{RECIPE}/preprocessing.json",
        net=f"{PLACE}/net",
        model=lambda wildcards: previous(wildcards) + "/model.caffemodel",
    output:
        model=f"{PLACE}/model.caffemodel",
        metrics=f"{PLACE}/metrics.jsonl",
    wildcard_constraints:
        stage=OPERATED,
    threads: TRAINING_THREADS
    resources:
        gpu=GPU,
    benchmark:
        f"{EXPERIMENT}/seconds/surgery_{{stage}}_{{branch}}.tsv"
    params:
        build=lmdb_there,
        folder=f"{PLACE}/surgery",
        options=lambda wildcards: options(
            {k: v for k, v in COMPRESSIONS[wildcards.stage].items() if k not in ("method", "of")}
            | seeded(wildcards, "seed")
        ),
    shell:
        "export WORKERS={threads}; {params.build} && OPENBLAS_NUM_THREADS={threads} {ON_CARD}{PYTHON} tools/dns.py --restart-if-changed {KEEP} --solver {input.net:q}/solver.prototxt --weights {input.model:q} "
        "{params.options} --out {params.folder:q} && "
        "cp {params.folder:q}/metrics.jsonl {output.metrics:q} && cp {params.folder:q}/model.caffemodel {output.model:q}"


rule importance:
    input:
        recipe=f"{RECIPE}/preprocessing.json",
        net=f"{PLACE}/net",
        model=f"{PLACE}/model.caffemodel",
    output:
        f"{PLACE}/importance.json",
    threads: 1 if GPU else FEW
    resources:
        gpu=GPU,
    benchmark:
        f"{EXPERIMENT}/seconds/importance_{{stage}}_{{branch}}.tsv"
    params:
        build=lmdb_there,
        options=options(config.get("importance", {})),
    shell:
        "export WORKERS={threads}; {params.build} && {ON_CARD}{PYTHON} tools/channel_importance.py --model {input.net:q}/statistics.prototxt --weights {input.model:q} "
        "{params.options} {ON_GPU} --workers {threads} --out {output:q}"


PREDICT = (
    "{ON_CARD}{PYTHON} tools/predict.py --model {input.net:q}/deploy.prototxt --weights {params.weights:q} --engine caffe "
    "{ON_GPU} --manifest {input.recipe[1]:q} --root {params.tree:q} --branch {wildcards.branch:q} --split test "
    "{params.name:q} --out {output:q}"
)


rule predict:
    input:
        recipe=multiext(f"{RECIPE}/", "preprocessing.json", "manifest.csv"),
        net=f"{PLACE}/net",
        model=f"{PLACE}/model.caffemodel",
    output:
        f"{PLACE}/predictions.csv",
    resources:
        gpu=GPU,
    benchmark:
        f"{EXPERIMENT}/seconds/predict_{{stage}}_{{branch}}.tsv"
    params:
        weights=f"{PLACE}/model.caffemodel",
        tree=lambda wildcards: TREE,
        name=lambda wildcards: ["--name", f"bag{wildcards.bag}"] if "bag" in study.levels else [],
    shell:
        PREDICT


# What each step of a pruning makes of the test images, beside the network that is trained on: masked (as it was, the
# channels that go masked, before anything is cut out), cut (not trained on), recalibrated (BatchNorm's statistics
# measured anew, nothing learned). Nothing is chosen by it.


rule mask:
    input:
        net=f"{PLACE}/net",
        whole=lambda wildcards: previous(wildcards) + "/net",
        model=model_to_prune,
    output:
        temp(f"{PLACE}/steps/masked.caffemodel"),
    wildcard_constraints:
        stage=PRUNED,
    shell:
        "{PYTHON} tools/mask.py --model {input.whole:q}/deploy.prototxt --weights {input.model:q} --plan {input.net:q}/plan.json "
        "--out {output:q}"


rule recalibrate:
    input:
        recipe=f"{RECIPE}/preprocessing.json",
        net=f"{PLACE}/net",
    output:
        temp(f"{PLACE}/steps/recalibrated.caffemodel"),
    wildcard_constraints:
        stage=PRUNED,
    resources:
        gpu=GPU,
    params:
        build=lmdb_there,
    shell:
        "export WORKERS={threads}; {params.build} && {ON_CARD}{PYTHON} tools/recalibrate.py --model {input.net:q}/train_val.prototxt "
        "--weights {input.net:q}/model.caffemodel --batches {RECALIBRATION} {ON_GPU} --out {output:q}"


def step_weights(wildcards):
    """The weights of a step of pruning."""
    folder = PLACE.format(**wildcards)
    return f"{folder}/net/model.caffemodel" if wildcards.step == "cut" else f"{folder}/steps/{wildcards.step}.caffemodel"


rule predict_step:
    input:
        recipe=multiext(f"{RECIPE}/", "preprocessing.json", "manifest.csv"),
        net=lambda wildcards: previous(wildcards) + "/net" if wildcards.step == "masked" else f"{PLACE}/net",
        # What prune.py wrote lies in net.
        model=lambda wildcards: [] if wildcards.step == "cut" else step_weights(wildcards),
    output:
        f"{PLACE}/steps/{{step}}.csv",
    wildcard_constraints:
        stage=PRUNED,
        step="|".join(STEPS),
    resources:
        gpu=GPU,
    benchmark:
        f"{EXPERIMENT}/seconds/predict_{{stage}}_{{step}}_{{branch}}.tsv"
    params:
        weights=step_weights,
        tree=lambda wildcards: TREE,
        name=lambda wildcards: ["--name", f"bag{wildcards.bag}"] if "bag" in study.levels else [],
    shell:
        PREDICT
