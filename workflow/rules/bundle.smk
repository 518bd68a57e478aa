# The finished model as one folder, if the config asks for it. Bags are its members; of several folds or magnifications
# the first counts, as each is a model of its own.

BUNDLE = config.get("bundle", {})
MEMBERS = [
    experiment
    for experiment in EXPERIMENTS
    if experiment == EXPERIMENTS[0]
    or ("bag" in study.levels and experiment.rpartition("/")[0] == EXPERIMENTS[0].rpartition("/")[0])
]


def bundled():
    """The networks of a bundle: branch, deploy file, weights, and the folder of the recipe."""
    stage = BUNDLE["stage"]
    return [
        (branch, f"{member}/{stage}/{branch}/net/deploy.prototxt", f"{member}/{stage}/{branch}/model.caffemodel",
         f"{member}/recipe/{branch}")
        for member in MEMBERS
        for branch in BRANCHES
    ]


if BUNDLE:

    rule bundle:
        input:
            [f"{recipe}/preprocessing.json" for _, _, _, recipe in bundled()],
            [f"{recipe}/manifest.csv" for _, _, _, recipe in bundled()],
            [str(Path(model).parent) for _, model, _, _ in bundled()],
            [weights for _, _, weights, _ in bundled()],
        output:
            directory(f"{RESULTS}/bundle"),
        threads: FEW
        params:
            networks=[word for network in bundled() for word in ("--network", *network)],
            options=options({name: value for name, value in BUNDLE.items() if name != "stage"}),
            name=config["title"],
            weight=config["lambda"],
            tree=lambda wildcards: TREE,
        shell:
            "{PYTHON} tools/bundle.py {params.networks:q} --root {params.tree:q} --name {params.name:q} --lambda {params.weight} "
            "{params.options} --workers {threads} --out {output:q}"
