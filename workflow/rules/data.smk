# Images, manifests, LMDBs.

TREE = study.tree

if study.synthetic:

    rule synthetic:
        output:
            directory(f"{RESULTS}/data"),
        threads: workflow.cores
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
        threads: workflow.cores
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
    input:
        f"{RESULTS}/data" if study.synthetic or study.slides else [],
    output:
        f"{EXPERIMENT}/manifest.csv",
        f"{EXPERIMENT}/manifest.json",
    params:
        splits=splits,
    shell:
        "{PYTHON} data_prep/make_manifest.py {params.splits} --out {output[0]:q}"


rule lmdb:
    input:
        f"{EXPERIMENT}/manifest.csv",
    output:
        directory(f"{EXPERIMENT}/lmdb/{{branch}}"),
    threads: workflow.cores
    benchmark:
        f"{EXPERIMENT}/seconds/lmdb_{{branch}}.tsv"
    params:
        tree=lambda wildcards: TREE,
        options=options(config["lmdb"]),
    shell:
        "{PYTHON} data_prep/build_lmdb.py --manifest {input:q} --root {params.tree:q} --branch {wildcards.branch:q} "
        "--workers {threads} {params.options} --out {output:q}"
