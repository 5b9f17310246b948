# Two commands matter: `make repro` runs the chosen study from raw images to its report, `make test` checks the house.
# Each sets up its own virtual environment from nothing but Python, make and git.
PYTHON ?= python3
VENV   ?= .venv
UV     := 0.13.9
BIN    := $(abspath $(VENV))/bin
STUDY  ?= $(shell sed -n 's/^study: *\([a-z0-9_]*\).*/\1/p' params.yaml)
OTHERS := $(VENV)-integrations
STAMP  := $(VENV)/.installed
DOCS   := .venv-docs
PYTEST := python -m pytest --numprocesses auto --maxprocesses 4 --dist loadscope --no-loadscope-reorder

export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PATH := $(BIN):$(PATH)

.PHONY: help setup repro verify test test-fast test-integrations test-wheel docs lint format lock ui clean
.DEFAULT_GOAL := help

help:  ## Show these lines
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

setup: $(STAMP)  ## Create the virtual environment from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@echo "Setting up $(VENV) from requirements.lock (once, about a minute and 7 GB) ..."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV)
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

repro: setup  ## Run the study named in params.yaml: fetch, audit, split, filter, grid, report
	@dvc repro

test: setup  ## Run the tests
	@$(PYTEST)

test-fast: setup  ## Run the tests that take no seconds each and start no cluster: two minutes on two cores
	@$(PYTEST) -m "not slow and not cluster"

test-integrations: setup  ## Run examples/ in Lightning, MONAI, nnU-Net and others, and compare with them, in an environment of their own
	@test -x $(OTHERS)/bin/python || $(PYTHON) -m venv --without-pip $(OTHERS)
	@uv pip install --quiet --compile-bytecode --python $(OTHERS)/bin/python --require-hashes -r examples/requirements.lock
	@uv pip install --quiet --python $(OTHERS)/bin/python --no-deps --no-build-isolation -e .
	@$(OTHERS)/bin/python -m pytest -rs tests/examples tests/dmf/losses tests/dmf/metrics tests/dmf/test_fusion_members.py \
	    -k "examples or monai or segmentation_models or scikit_learn"

test-wheel: setup  ## Build the wheel and run the library's examples in bare environments (fetches gigabytes)
	@.ci/wheel

verify: setup  ## Train one recorded trial of the study in params.yaml again and compare: bit for bit?
	@dvc repro filter
	@python -m pipelines.verify --study $(STUDY)

docs: $(DOCS)/.installed  ## Build the site of docs/ into site/, strictly: no link may be broken
	@NO_MKDOCS_2_WARNING=1 $(DOCS)/bin/mkdocs build --strict
	@echo "$(DOCS)/bin/python -m http.server --bind 127.0.0.1 --directory site"

$(DOCS)/.installed: .ci/docs.lock
	@echo "Setting up $(DOCS) from .ci/docs.lock (once, 60 MB) ..."
	@$(PYTHON) -m venv $(DOCS)
	@$(DOCS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

lint: setup  ## Check style, types and who may import whom
	@ruff check .
	@ruff format --check .
	@mypy
	@lint-imports

format: setup  ## Rewrite the code in the house style
	@ruff check --fix .
	@ruff format .

lock: setup  ## Resolve requirements.lock again from pyproject.toml
	@uv pip compile --quiet --universal --python-version 3.11 pyproject.toml --all-extras --group platform --group dev \
	    --generate-hashes --no-header --no-emit-index-url --upgrade -o requirements.lock
	@uv pip compile --quiet --universal --python-version 3.11 --group docs --generate-hashes --no-header \
	    --no-emit-index-url --upgrade -o .ci/docs.lock
	@uv pip compile --quiet --universal --python-version 3.11 pyproject.toml examples/requirements.in -c requirements.lock \
	    --generate-hashes --no-header --no-emit-index-url --upgrade -o examples/requirements.lock

ui: setup  ## Serve MLflow on this machine and print its address
	@python -m pipelines.ui

clean:  ## Remove the virtual environments and the site
	rm -rf $(VENV) $(OTHERS) $(DOCS) site
