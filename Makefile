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
PYTEST := python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

export DVC_NO_ANALYTICS := 1
export MLFLOW_DISABLE_TELEMETRY := true
export PATH := $(BIN):$(PATH)

