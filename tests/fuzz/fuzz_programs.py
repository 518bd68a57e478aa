"""Every program, with a command that works in the folder of `fuzz_corpus`, and the files that it reads there."""

from dataclasses import dataclass

ROOT = "tree/BreaKHis_v1"
FOLD = f"--dataset breakhis --root {ROOT} --folds tree/breakhis_folds --fold 1 --magnification 100"
SMALL = "--model small/deploy.prototxt --weights small/net.caffemodel"
SMALL_DATA = f"--manifest manifest.csv --root {ROOT} --preprocessing small --branch global"
LMDB = ("lmdb/*/data.mdb", "lmdb/*/preprocessing.json", "lmdb/*/manifest.csv", "lmdb/*/mean.binaryproto")
NET = ("net/*.prototxt",)
WEIGHTS = ("net.caffemodel", "net.caffemodel.h5")
MEASURED = (
    "--model net/deploy.prototxt --also net/train_val.prototxt --weights net.caffemodel --criterion l1 --shares 0.5 "
    "--records 4"
)
TRAINING = ("net/solver.prototxt", "net/train_val.prototxt", *LMDB)


@dataclass(frozen=True)
class Program:
    """A command line, and what it reads."""

    program: str
    arguments: str
    reads: tuple[str, ...]
    """Patterns of files, any of which is spoilt."""
    out: str | None = "out"
    """What appears whole or not at all."""
    weight: int = 10
    """How often, beside the others; what takes long comes seldom."""

    @property
    def words(self) -> list[str]:
        """The arguments, one by one."""
        return self.arguments.split()


PROGRAMS = (
    Program(
        "data_prep/check_data.py", f"{FOLD} --allow-missing --workers 1", ("tree/**/*.png", "tree/**/*.txt"), None, 3
    ),
    Program(
        "data_prep/check_data.py", f"--manifest manifest.csv --root {ROOT} --workers 1", ("manifest.csv",), None, 3
    ),
    Program("data_prep/make_manifest.py", f"{FOLD} --out out", ("tree/breakhis_folds/*",)),
    Program(
        "data_prep/make_manifest.py",
        "--dataset bach --root bach --kfold 3 --fold 1 --out out",
        ("bach/**/*.tif",),
        weight=2,
    ),
    Program(
        "data_prep/build_lmdb.py",
        f"--manifest manifest.csv --root {ROOT} --branch local --size 16 --augment 1 "
        "--stain-target lmdb/train/preprocessing.json --workers 1 --out out",
        ("manifest.csv", "tree/**/*.png", "lmdb/train/preprocessing.json"),
        weight=12,
    ),
    Program(
        "data_prep/build_lmdb.py",
        f"--manifest manifest.csv --root {ROOT} --branch global --size 16 --augment 0 --stain "
        "macenko --record png --workers 1 --out out",
        ("manifest.csv", "tree/**/*.png"),
        weight=8,
    ),
    Program("data_prep/verify_lmdb.py", f"--lmdb lmdb --root {ROOT} --workers 1", (*LMDB, "tree/**/*.png"), None, 20),
    Program("data_prep/show_lmdb.py", "--lmdb lmdb/val --count 5 --out out", ("lmdb/val/data.mdb",), weight=20),
    Program(
        "data_prep/label_lmdb.py",
        "--lmdb lmdb --column subtype",
        ("lmdb/*/data.mdb", "lmdb/manifest.csv"),
        "lmdb/train/subtype",
        20,
    ),
    Program(
        "data_prep/make_slide_samples.py",
        "--root slides --samples 4 --workers 1 --slide-mpp 0.467 --out out",
        ("slides/*",),
        weight=3,
    ),
    Program(
        "data_prep/make_tree_manifests.py",
        "--root . --bach bach --bisque bisque --out out",
        ("bach/**/*", "bisque/*"),
        weight=2,
    ),
    Program(
        "prototxt/generate.py",
        "inception-sep --width 0.05 --input-size 32 --train-lmdb lmdb/train --val-lmdb lmdb/val --out out",
        ("lmdb/train/preprocessing.json", "lmdb/val/data.mdb"),
        weight=10,
    ),
    Program(
        "tools/best_snapshot.py",
        "--metrics metrics.jsonl --prefix snap --out out",
        ("metrics.jsonl", "snap_iter_2.caffemodel"),
        weight=5,
    ),
    Program(
        "tools/bundle.py",
        f"--network global net/deploy.prototxt net.caffemodel lmdb --root {ROOT} --name n --purpose p "
        "--classes a b --mpp 4.0 --workers 1 --out out",
        ("net/deploy.prototxt", "net.caffemodel", "lmdb/manifest.csv", "lmdb/*/preprocessing.json", "tree/**/*.png"),
        weight=3,
    ),
    Program(
        "tools/caffe_time.py",
        "--model net/deploy.prototxt --iterations 1 --out out",
        ("net/deploy.prototxt",),
        weight=2,
    ),
    Program(
        "tools/channel_importance.py",
        "--model net/statistics.prototxt --weights net.caffemodel --out out",
        ("net/statistics.prototxt", "net.caffemodel", "lmdb/train/data.mdb"),
        weight=20,
    ),
    Program(
        "tools/classify_features.py",
        "--features features.npz --manifest manifest.csv --descriptors Lab --classifiers LR --out out",
        ("features.npz", "manifest.csv"),
    ),
    Program(
        "tools/collapse_study.py",
        "--train-lmdb lmdb/train --val-lmdb lmdb/val --batch-size 2 --iterations 1 --out out",
        LMDB,
        weight=1,
    ),
    Program(
        "tools/compare.py",
        "--before net/deploy.prototxt --weights-before net.caffemodel --after smaller --out out",
        ("net/deploy.prototxt", "net.caffemodel", "smaller/deploy.prototxt", "smaller/*.caffemodel"),
        weight=3,
    ),
    Program(
        "tools/convert_snapshot.py",
        "--plan smaller/plan.json --snapshot net.solverstate --out out",
        ("smaller/plan.json", "net.solverstate"),
        weight=15,
    ),
    Program(
        "tools/convert_snapshot.py",
        "--plan smaller/plan.json --snapshot kept.solverstate --out out.h5",
        ("smaller/plan.json", "kept.solverstate"),
        "out.h5",
        8,
    ),
    Program(
        "tools/convert_weights.py",
        "--weights published.safetensors --model resnext.prototxt --out out",
        ("published.safetensors", "resnext.prototxt"),
    ),
    Program(
        "tools/cost.py", "--model net/train_val.prototxt --weights net.caffemodel.h5", (*NET, *WEIGHTS, *LMDB), None, 15
    ),
    Program(
        "tools/deploy.py",
        "--for rknn --model net/deploy.prototxt --weights net.caffemodel --preprocessing lmdb/test --out out",
        ("net/deploy.prototxt", "net.caffemodel", "lmdb/test/preprocessing.json"),
        weight=5,
    ),
    Program(
        "tools/deploy.py",
        f"--for mnn {SMALL} --fold --manifest manifest.csv --root {ROOT} --preprocessing small --out out",
        ("small/deploy.prototxt", "small/net.caffemodel", "small/preprocessing.json", "manifest.csv"),
        weight=5,
    ),
    Program(
        "tools/diagnose.py",
        "--bundle bundle bach/Photos/Normal --evidence --workers 1 --out out",
        ("bundle/*", "bundle/*/*", "bach/Photos/Normal/*.tif"),
        weight=8,
    ),
    Program(
        "tools/diagnose.py",
        "--bundle bundle slides/A01.tif --mpp 4.0 --workers 1 --out out",
        ("bundle/*", "bundle/*/*", "slides/A01.tif"),
        None,
        3,
    ),
    Program(
        "tools/dns.py",
        "--solver net/solver.prototxt --weights net.caffemodel --sparsity 0.5 --iterations 1 --out out",
        (*TRAINING, "net.caffemodel"),
        None,
        1,
    ),
    Program(
        "tools/evaluate.py",
        "--predictions predictions.csv --out out",
        ("predictions.csv", "predictions.json"),
        weight=20,
    ),
    Program(
        "tools/evaluate_tree.py",
        "--predictions tree.csv --validation tree_val.csv --settings settings.json --out out",
        ("tree.csv", "tree_val.csv", "settings.json"),
        weight=3,
    ),
    Program(
        "tools/extract_features.py",
        f"--manifest manifest.csv --root {ROOT} --descriptors Lab LBP --workers 1 --out out",
        ("manifest.csv", "tree/**/*.png"),
        weight=3,
    ),
    Program("tools/find_lr.py", "--solver net/solver.prototxt --iterations 21 --out out", TRAINING, None, 1),
    Program("tools/lint.py", "net/train_val.prototxt net/solver.prototxt", (*NET, *LMDB), None, 20),
    Program(
        "tools/predict.py",
        f"--model net/deploy.prototxt --weights net.caffemodel --manifest lmdb/manifest.csv --root {ROOT} "
        "--branch global --out out.csv",
        ("net/deploy.prototxt", "net.caffemodel", "lmdb/manifest.csv", "lmdb/test/preprocessing.json", "tree/**/*.png"),
        "out.csv",
        20,
    ),
    Program(
        "tools/predict.py",
        f"{SMALL}.h5 --engine opencv {SMALL_DATA} --out out.csv",
        ("small/deploy.prototxt", "small/net.caffemodel.h5", "small/preprocessing.json"),
        "out.csv",
        10,
    ),
    Program(
        "tools/predict.py",
        f"{SMALL} --engine onnx {SMALL_DATA} --out out.csv",
        ("small/deploy.prototxt", "small/net.caffemodel"),
        "out.csv",
        10,
    ),
    Program(
        "tools/prune.py",
        "--model net/deploy.prototxt --also net/train_val.prototxt net/solver.prototxt --weights "
        "net.caffemodel --criterion sep --importance importance.json --ratio 0.5 --out out",
        ("net/deploy.prototxt", "net/train_val.prototxt", "net/solver.prototxt", "net.caffemodel", "importance.json"),
        weight=25,
    ),
    Program(
        "tools/prune.py",
        f"{SMALL}.h5 --criterion l1 --ratio 0.3 --out out",
        ("small/deploy.prototxt", "small/net.caffemodel.h5"),
        weight=15,
    ),
    Program(
        "tools/prune.py",
        "--model net/deploy.prototxt --weights net.caffemodel --criterion l1 --sensitivity measured/sensitivity.json "
        "--target-flops 0.6 --out out",
        ("measured/sensitivity.json",),
        weight=10,
    ),
    Program(
        "tools/mask.py",
        "--model net/deploy.prototxt --weights net.caffemodel --plan smaller/plan.json --out out.caffemodel",
        ("net/deploy.prototxt", "smaller/plan.json"),
        "out.caffemodel",
        10,
    ),
    Program(
        "tools/recalibrate.py",
        "--model net/train_val.prototxt --weights net.caffemodel --batches 2 --test --out out.caffemodel",
        (*TRAINING[1:], "net.caffemodel"),
        "out.caffemodel",
        5,
    ),
    Program("tools/report.py", "--results results", ("results/**/*.*",), "results/report.html", 2),
    Program(
        "tools/sensitivity.py",
        f"{MEASURED} --out measured2",
        ("net/deploy.prototxt", *TRAINING[1:], "net.caffemodel"),
        None,
        2,
    ),
    Program(
        "tools/sensitivity.py",
        f"{MEASURED} --out measured",
        ("measured/measured.jsonl", "lmdb/val/data.mdb"),
        None,
        2,
    ),
    Program(
        "tools/to_onnx.py",
        "--model net/deploy.prototxt --weights net.caffemodel --out out",
        ("net/deploy.prototxt", "net.caffemodel"),
        weight=3,
    ),
    Program("tools/to_onnx.py", f"{SMALL} --out out", ("small/deploy.prototxt", "small/net.caffemodel"), weight=15),
    Program(
        "tools/train.py",
        "--solver net/solver.prototxt --weights net.caffemodel --out trained2",
        (*TRAINING, "net.caffemodel"),
        None,
        1,
    ),
    Program(
        "tools/train_phases.py",
        "--solver net/solver.prototxt --weights net.caffemodel --lr-from lr.json --groups groups.json "
        "--head-epochs 1 --cycles 1 --epoch-iterations 1 --out out",
        ("lr.json", "groups.json", *TRAINING, "net.caffemodel"),
        None,
        1,
    ),
    Program(
        "tools/train_slimming.py",
        "--solver net/solver.prototxt --weights net.caffemodel --iterations 1 --out out",
        (*TRAINING, "net.caffemodel"),
        None,
        1,
    ),
    Program(
        "tools/write_facts.py",
        "--facts {} --seconds results --out out",
        ("results/seconds/train.tsv",),
        weight=3,
    ),
    Program("workflow/estimate.py", "--configfile config.yaml", ("config.yaml",), None, 1),
)
