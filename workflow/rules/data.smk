# Images, manifests, LMDBs.

# What follows --root on a command line.
TREE = [study.tree, *(["--follow-links"] if study.follow_links else [])]

if study.synthetic:

    rule synthetic:
        output:
            directory(f"{RESULTS}/data"),
        threads: CORES
        benchmark:
            f"{RESULTS}/seconds/synthetic.tsv"
        params:
            magnification=config["magnifications"][0],
            options=options(study.synthetic),
        shell:
            "{PYTHON} data_prep/make_synthetic.py --out {output:q} --magnification {params.magnification} --workers {threads} "
            "{params.options}"

elif study.slides:

    rule samples:
        output:
            directory(f"{RESULTS}/data"),
        threads: CORES
        benchmark:
            f"{RESULTS}/seconds/samples.tsv"
        params:
            slides=lambda wildcards: study.slides,
            options=options(study.data.get("samples", {})),
        shell:
            "{PYTHON} data_prep/make_slide_samples.py --root {params.slides:q} --out {output:q} --workers {threads} {params.options}"


def splits(wildcards):
    """Which images, and how they are split: options of make_manifest.py."""
    return shlex.join(study.splits(wildcards))


rule manifest:
    localrule: True
    input:
        f"{RESULTS}/data" if study.synthetic or study.slides else [],
    output:
        f"{IMAGES}/manifest.csv",
        f"{IMAGES}/manifest.json",
    params:
        splits=splits,
    shell:
        "{PYTHON} data_prep/make_manifest.py {params.splits} --out {output[0]:q}"


# LMDBs are large: they are removed when all that learn from them have learnt, and those of an experiment are not built
# before those of an earlier one are gone. So they are no rule's output: what stays is how they were built (the recipe, by
# which images are predicted), and a job that learns builds them again if they are gone, as they were.

LMDB = f"{IMAGES}/lmdb/{{branch}}"
RECIPE = f"{IMAGES}/recipe/{{branch}}"
MANIFEST = f"{IMAGES}/manifest.csv"
VAL = study.validation


def building(lmdb, manifest, cut, settings):
    """The command that builds an LMDB; $WORKERS processes do it."""
    words = ["data_prep/build_lmdb.py", "--manifest", manifest, "--root", *TREE, "--branch", cut, "--splits", "train", "val"]
    return f"{PYTHON} {shlex.join([*words, *option_words(settings), '--out', lmdb])} --workers $WORKERS"


def unless_there(lmdb, command):
    """The command, run if the LMDB is gone; of several jobs the first runs it, and the others wait for it."""
    folder, lock = shlex.quote(str(Path(lmdb).parent)), shlex.quote(f"{lmdb}.turn")
    return f"mkdir -p {folder} && flock {lock} bash -c {shlex.quote(f'test -e {shlex.quote(lmdb)} || ( {command} )')}"


def lmdb_command(wildcards):
    """The command that builds an experiment's LMDB of a branch, which its seeds share."""
    return building(LMDB.format(**wildcards), MANIFEST.format(**wildcards), wildcards.branch, config["lmdb"])


def lmdb_there(wildcards):
    """The command after which that LMDB is there."""
    return unless_there(LMDB.format(**wildcards), lmdb_command(wildcards))


def removed(images, branch):
    """The files that say that the LMDB of a branch of such images is gone; None: no images."""
    return [] if images is None else [f"{images}/recipe/{branch}/lmdb_removed"]


def learners(images, branch):
    """What is made with the LMDB of a branch of such images."""
    made = [f"{each}/{stage}/{branch}/model.caffemodel" for each in study.learning_from(images) for stage in STAGES]
    made += [
        f"{each}/{loop}/{branch}/steps/recalibrated.csv" for each in study.learning_from(images) for loop in LOOPS
    ]
    if images == EVERY_IMAGES[0]:
        made += [*importances(branch), f"{RESULTS}/examples/training_records_{branch}.png"]
    return made


rule lmdb:
    input:
        MANIFEST,
        turn=lambda wildcards: ancient(removed(study.before(wildcards), wildcards.branch)),
    output:
        multiext(f"{RECIPE}/", "preprocessing.json", "manifest.csv"),
    threads: FEW
    benchmark:
        f"{IMAGES}/seconds/lmdb_{{branch}}.tsv"
    params:
        lmdb=LMDB,
        build=lmdb_command,
    shell:
        "export WORKERS={threads}; rm -rf {params.lmdb:q} && {params.build} && "
        "cp {params.lmdb:q}/train/preprocessing.json {params.lmdb:q}/manifest.csv \"$(dirname {output[0]:q})\""


rule remove_lmdb:
    localrule: True
    input:
        lambda wildcards: learners(IMAGES.format(**wildcards), wildcards.branch),
    output:
        touch(f"{RECIPE}/lmdb_removed"),
    params:
        lmdb=LMDB,
    shell:
        "rm -rf {params.lmdb:q} {params.lmdb:q}.turn"
