# Images, manifests, LMDBs.

SYNTHETIC = config["data"].get("synthetic")
if SYNTHETIC:
    TREE, FOLDS = f"{RESULTS}/data/BreaKHis_v1", f"{RESULTS}/data/breakhis_folds"

    rule synthetic:
        output:
            directory(f"{RESULTS}/data"),
        threads: workflow.cores
        benchmark:
            f"{RESULTS}/seconds/synthetic.tsv"
        params:
            magnification=config["magnifications"][0],
        shell:
            "{PYTHON} data_prep/make_synthetic.py --out {output} --magnification {params.magnification} --workers {threads} "
            + options(SYNTHETIC)

else:
    # --config breakhis=... folds_dir=... goes before the file's.
    TREE = config.get("breakhis", config["data"].get("breakhis"))
    FOLDS = config.get("folds_dir", config["data"].get("folds"))


rule manifest:
    input:
        f"{RESULTS}/data" if SYNTHETIC else [],
    output:
        f"{EXPERIMENT}/manifest.csv",
    params:
        tree=shlex.quote(TREE),
        folds=shlex.quote(FOLDS),
        missing="--allow-missing" if config["data"].get("allow_missing") else "",
    shell:
        "{PYTHON} data_prep/make_manifest.py --dataset breakhis --root {params.tree} --folds {params.folds} "
        "--fold {wildcards.fold} --magnification {wildcards.magnification} {params.missing} --out {output}"


rule lmdb:
    input:
        f"{EXPERIMENT}/manifest.csv",
    output:
        directory(f"{EXPERIMENT}/lmdb/{{branch}}"),
    threads: workflow.cores
    benchmark:
        f"{RESULTS}/seconds/lmdb_{{branch}}_fold{{fold}}_{{magnification}}X.tsv"
    params:
        tree=shlex.quote(TREE),
        options=options(config["lmdb"]),
    shell:
        "{PYTHON} data_prep/build_lmdb.py --manifest {input} --root {params.tree} --branch {wildcards.branch} "
        "--workers {threads} {params.options} --out {output}"
