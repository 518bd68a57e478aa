#!/usr/bin/env bash
# Makes models/pcam again, from PatchCamelyon's patches as a tree split/class/image (train, val, test; 0, 1):
#
#     models/make_pcam.sh PATH/pcam OUT          (in the repository's root, after `make setup`; about 25 minutes of CPU time)
#
# Everything is chosen on the validation patches; the test patches are looked at once, by tools/bundle.py.
set -euo pipefail
tree=$1 out=$2
run=runs/pcam
export OPENBLAS_NUM_THREADS=1 GLOG_minloglevel=2 PATH="$PWD/.venv/bin:$PATH"
network=(inception-sep --variant paper --sep native --input-size 96 --width 0.25 --batch-norm-fraction 0.99 --batch-size 32
    --weight-decay 0.0005 --random-seed 1 --solver-mode CPU --display 50
    --train-lmdb $run/lmdb/train --val-lmdb $run/lmdb/val)

[ -d $run/lmdb ] || python data_prep/build_lmdb.py --dataset folder --root "$tree" --branch global --size 96 \
    --stain reinhard --augment 8 --seed 0 --out $run/lmdb

# The whole network: 4,000 iterations; of the snapshots the best on the validation patches.
[ -d $run/before ] || python prototxt/generate.py "${network[@]}" --base-lr 0.01 --stepsize 3000 --max-iter 4000 \
    --test-interval 500 --snapshot 500 --out $run/before
python tools/train.py --solver $run/before/solver.prototxt --out $run/before/training
python tools/best_snapshot.py --metrics $run/before/training/metrics.jsonl --prefix $run/before/snapshot \
    --out $run/before/model.caffemodel

# Half of the channels, by SEP's importance; 1,500 iterations more.
python prototxt/generate.py "${network[@]}" --base-lr 0.005 --stepsize 1000 --max-iter 1500 \
    --test-interval 250 --snapshot 250 --out $run/short
python tools/channel_importance.py --model $run/before/statistics.prototxt --weights $run/before/model.caffemodel --out $run/importance.json
python tools/prune.py --model $run/short/deploy.prototxt --also $run/short/train_val.prototxt $run/short/solver.prototxt \
    --weights $run/before/model.caffemodel --criterion sep --importance $run/importance.json --ratio 0.5 --out $run/after
python tools/train.py --solver $run/after/solver.prototxt --weights $run/after/model.caffemodel --out $run/after/training
python tools/best_snapshot.py --metrics $run/after/training/metrics.jsonl --prefix $run/after/snapshot \
    --out $run/after/best.caffemodel

python tools/bundle.py --network global $run/after/deploy.prototxt $run/after/best.caffemodel $run/lmdb --root "$tree" --name pcam \
    --purpose "telling whether the central 32 x 32 pixels of a 96 x 96 patch of lymph node (H&E, 0.97 um per pixel) hold tumour" \
    --classes "no tumour" tumour --mpp 0.97 --notes models/pcam_notes.md \
    --data "PatchCamelyon (Veeling et al. 2018, from CAMELYON16): sentinel lymph nodes of breast cancer patients, 17,000 of its patches" \
    --licence "CC0 1.0" --caution "$(cat models/pcam_caution.txt)" --out "$out"
