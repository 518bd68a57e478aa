PYTHON := .venv/bin/python

# Our own lock, not Snakemake's, which outlives a killed run: this one is free as soon as no process of the run is left.
RUN := flock --nonblock --conflict-exit-code 75 runs/.lock .venv/bin/snakemake \
       --cores $(shell nproc) --nolock --quiet all
WORKFLOW := $(RUN) -s workflow/Snakefile

.PHONY: help setup demo demo-kone test test-slow test-caffe docker docker-gpu requirements prototxt schema lint

help:  ## this list
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' Makefile | expand -t 14

# `make setup GPU=1` builds Caffe with CUDA, cuDNN and NCCL; .venv remembers it until GPU=0.
setup:  ## distribution packages, Caffe (built once, about 3 minutes on 2 cores), .venv
	@docker/install.sh

# On synthetic images, or on yours: make demo BREAKHIS=path/BreaKHis_v1 FOLDS=path/breakhis_folds
# The paths go through the environment, as they were given, and to Snakemake as JSON strings: whatever characters they hold.
override BREAKHIS := $(value BREAKHIS)
override FOLDS := $(value FOLDS)
export BREAKHIS FOLDS
JSON = $$($(PYTHON) -c 'import json, os; print(json.dumps(os.environ["$(1)"]))')

demo: setup  ## the whole method in minutes: runs/demo/report.html
	@mkdir -p runs
ifneq ($(value BREAKHIS),)
	@$(WORKFLOW) --configfile workflow/config/demo_breakhis.yaml \
		--config breakhis="$(call JSON,BREAKHIS)" folds_dir="$(call JSON,FOLDS)"
else
	@$(WORKFLOW) --configfile workflow/config/demo.yaml
endif

demo-kone: setup  ## the tree of Kone & Boulmane on synthetic images: runs/kone_demo/report/ext/report.html
	@mkdir -p runs
	@$(RUN) -s workflow/Snakefile_kone --configfile workflow/config/kone_demo.yaml

test-slow: setup  ## all tests, those that take longer than some ten seconds too
	@$(PYTHON) -m pytest -q -n auto -m "slow or not slow"

docker:  ## build docker/Dockerfile.cpu (needs docker, or root with buildah and debootstrap) and run the fast suite in it
	@docker/build.sh cpu

docker-gpu:  ## the same with docker/Dockerfile.gpu, without a card; and show what the image holds for cards
	@docker/build.sh gpu

requirements:  ## pin the newest files that pyproject.toml allows and the lists do not hold already (needs uv)
	@docker/pin_requirements.sh

test: setup  ## the fast tests, a tiny end-to-end run among them
	@$(PYTHON) -m pytest -q -n auto

test-caffe: setup  ## Caffe's own tests, in C++ and Python, of the Caffe in use (about 15 minutes of CPU time)
	@docker/caffe/test.sh $(PYTHON)

prototxt: setup  ## regenerate the committed networks
	@$(PYTHON) prototxt/generate.py

schema: setup  ## compile Caffe's message schema after a change
	@protoc --proto_path pyhisto/schema --descriptor_set_out pyhisto/schema/caffe.desc pyhisto/schema/caffe.proto

lint: setup  ## style and types of the code
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m mypy
