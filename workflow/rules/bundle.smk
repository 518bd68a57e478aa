# The finished model as one folder, if the config asks for it. Bags are its members; of several folds, magnifications or
# seeds the first counts, as each is a model of its own.

BUNDLE = config.get("bundle", {})
MEMBERS = [
    place
    for place in study.places
    if all(place[level] == number for level, number in study.places[0].items() if level != "bag")
]


def bundled():
    """The networks of a bundle: branch, deploy file, weights, and the folder of the recipe."""
    stage = BUNDLE["stage"]
    return [
        (branch, f"{member}/{stage}/{branch}/net/deploy.prototxt", f"{member}/{stage}/{branch}/model.caffemodel",
         f"{IMAGES.format(**place)}/recipe/{branch}")
        for place in MEMBERS
        for member in [EXPERIMENT.format(**place)]
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
