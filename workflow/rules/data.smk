# Images, manifests, LMDBs.

DATA = config["data"]
SYNTHETIC = DATA.get("synthetic")
SLIDES = config.get("slides", DATA.get("slides"))
# --config breakhis=... (or bach, bisque, slides) and folds_dir=... go before the file's.
DATASET = next((name for name in ("breakhis", "bach", "bisque") if name in DATA or name in config), "breakhis")

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
            options=options(SYNTHETIC),
        shell:
            "{PYTHON} data_prep/make_synthetic.py --out {output} --magnification {params.magnification} --workers {threads} "
            "{params.options}"

elif SLIDES:
    TREE, FOLDS = f"{RESULTS}/data", None

    rule samples:
        output:
            directory(f"{RESULTS}/data"),
        threads: workflow.cores
        benchmark:
            f"{RESULTS}/seconds/samples.tsv"
        params:
            slides=shlex.quote(SLIDES),
            options=options(DATA.get("samples", {})),
        shell:
            "{PYTHON} data_prep/make_slide_samples.py --root {params.slides} --out {output} --workers {threads} {params.options}"

else:
    TREE = config.get(DATASET, DATA.get(DATASET))
    FOLDS = config.get("folds_dir", DATA.get("folds"))


def splits(wildcards):
    """Which images, and how they are split: the options of make_manifest.py."""
    words = ["--manifest", f"{TREE}/manifest.csv"] if SLIDES else ["--dataset", DATASET]
    words += ["--root", TREE]
    if FOLDS:
        words += ["--folds", FOLDS]
    if "kfold" in DATA:
        words += ["--kfold", DATA["kfold"]]
    if DATA.get("allow_missing"):
        words += ["--allow-missing"]
    if "bags" in config:
        words += ["--bags", config["bags"]]
    for level in (level for level in LEVELS if level in wildcards.keys()):
        words += [f"--{level}", wildcards[level]]
    return shlex.join(map(str, words))


rule manifest:
    input:
        f"{RESULTS}/data" if SYNTHETIC or SLIDES else [],
    output:
        f"{EXPERIMENT}/manifest.csv",
    params:
        splits=splits,
    shell:
        "{PYTHON} data_prep/make_manifest.py {params.splits} --out {output}"


rule lmdb:
    input:
        f"{EXPERIMENT}/manifest.csv",
    output:
        directory(f"{EXPERIMENT}/lmdb/{{branch}}"),
    threads: workflow.cores
    benchmark:
        f"{EXPERIMENT}/seconds/lmdb_{{branch}}.tsv"
    params:
        tree=shlex.quote(TREE),
        options=options(config["lmdb"]),
    shell:
        "{PYTHON} data_prep/build_lmdb.py --manifest {input} --root {params.tree} --branch {wildcards.branch} "
        "--workers {threads} {params.options} --out {output}"
