PYTHON := .venv/bin/python

.PHONY: setup test prototxt schema lint

setup:  ## packages, Caffe (built once, about 5 minutes on 2 cores), .venv
	@docker/install.sh

test: setup  ## the fast suite and a tiny end-to-end run
	@$(PYTHON) -m pytest -q

prototxt: setup  ## regenerate the committed networks
	@$(PYTHON) prototxt/generate.py

schema: setup  ## compile Caffe's message schema after a change
	@protoc --proto_path pyhisto/schema --descriptor_set_out pyhisto/schema/caffe.desc pyhisto/schema/caffe.proto

lint: setup  ## style and types of the code
	@$(PYTHON) -m ruff check . && $(PYTHON) -m ruff format --check . && $(PYTHON) -m mypy data_prep pyhisto
