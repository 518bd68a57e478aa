# Images, manifest, LMDBs.

SYNTHETIC = config["data"].get("synthetic")
if SYNTHETIC:
    TREE, FOLDS = f"{RESULTS}/data/BreaKHis_v1", f"{RESULTS}/data/breakhis_folds"
else:
    TREE, FOLDS = config.get("breakhis", config["data"].get("breakhis")), config.get("folds", config["data"].get("folds"))


def options(settings):
    """Settings as command-line options."""
    return " ".join(f"--{name} {shlex.quote(str(value))}" for name, value in settings.items())


if SYNTHETIC:

    rule synthetic:
        output:
            directory(f"{RESULTS}/data"),
        threads: workflow.cores
        benchmark:
            f"{RESULTS}/seconds/synthetic.tsv"
        shell:
            "{PYTHON} data_prep/make_synthetic.py --out {output} --magnification {config[magnification]} --workers {threads} "
            + options(SYNTHETIC)


rule manifest:
    input:
        f"{RESULTS}/data" if SYNTHETIC else [],
    output:
        f"{RESULTS}/manifest.csv",
    params:
        tree=shlex.quote(TREE),
        folds=shlex.quote(FOLDS),
        missing="--allow-missing" if config["data"].get("allow_missing") else "",
    shell:
        "{PYTHON} data_prep/make_manifest.py --dataset breakhis --root {params.tree} --folds {params.folds} --fold {config[fold]} "
        "--magnification {config[magnification]} {params.missing} --out {output}"


rule lmdb:
    input:
        f"{RESULTS}/manifest.csv",
    output:
        directory(f"{RESULTS}/lmdb/{{branch}}"),
    threads: workflow.cores
    benchmark:
        f"{RESULTS}/seconds/lmdb_{{branch}}.tsv"
    params:
        tree=shlex.quote(TREE),
        options=options(config["lmdb"]),
    shell:
        "{PYTHON} data_prep/build_lmdb.py --manifest {input} --root {params.tree} --branch {wildcards.branch} --workers {threads} "
        "{params.options} --out {output}"
