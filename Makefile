# Needs python3 (3.11 or newer) and make; everything else goes into .venv.
PYTHON  ?= python3
WORKERS ?= 2
VENV    := .venv
BIN     := $(VENV)/bin
STAMP   := $(VENV)/.installed
# A worker a core: several threads in each would only wait for one another.
PYTEST  := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
BENCHES := $(filter-out benchmarks/gpu_% benchmarks/_%,$(wildcard benchmarks/*.py))

.DEFAULT_GOAL := help
.PHONY: help install quickstart test test-all lint types bench gpu-check clean

help:  ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

install: $(STAMP)  ## make .venv with the tested versions of everything

$(STAMP): pyproject.toml constraints.txt
	@echo "Installing hwnas into $(VENV): a few minutes and 7 GB the first time (torch with CUDA)."
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "hwnas needs Python 3.11 or newer: make PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

quickstart: $(STAMP)  ## search, retrain, measure and export a network for digits
	$(BIN)/hwnas run pipelines/quickstart.yaml

test: lint types  ## lint, types, import contracts and the fast tests
	$(PYTEST)

test-all: lint types  ## the same with the slow tests
	$(PYTEST) -m "slow or not slow"

lint: $(STAMP)  ## ruff and import-linter
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/lint-imports

types: $(STAMP)  ## mypy
	$(BIN)/mypy

bench: $(STAMP)  ## every benchmark that needs no GPU
	@set -e; for file in $(BENCHES); do echo "$$file"; $(BIN)/python $$file; done

gpu-check: $(STAMP)  ## the quickstart, latency, memory, resume and supernets on a GPU
	$(BIN)/python benchmarks/gpu_check.py
	$(BIN)/python benchmarks/gpu_supernet.py

clean:  ## remove .venv, caches and build outputs; runs/ stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find hwnas tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} +
