# `make demo` and `make test` set everything up by themselves: they need Python >= 3.11 and make.
# PYTHON=/path/to/python chooses the interpreter of the virtual environment.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
STORE ?= sqlite:///restoration.db
MLFLOW ?= sqlite:///mlflow.db
# An idle OpenMP thread must not spin on a core that another worker needs: with two cores that costs up to 40 x.
export OMP_WAIT_POLICY := PASSIVE

.PHONY: help demo test test-quick lint format dashboard spec-page lock clean

help:
	@echo "make demo        set up, run the demo sweep, print the best configurations and the verdict"
	@echo "make dashboard   browse the results (http://127.0.0.1:8501)"
	@echo "make test        set up, lint, type check and run the whole test suite"
	@echo "make test-quick  the tests that take about a minute together"
	@echo "make lint        ruff and mypy;  make format: ruff's formatter"
	@echo "make spec-page   docs/SPEC.md, from the code that reads specs"
	@echo "make lock        renew the hash-pinned requirements from pyproject.toml"

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "error: no Python >= 3.11 found; valid: make PYTHON=/path/to/python3.11 ..." >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt

$(VENV)/.run: requirements/run.txt pyproject.toml | $(BIN)/python
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/run.txt
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.run
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@

demo: $(VENV)/.run
	$(BIN)/restoration sweep run sweeps/specs/demo.yaml --again --store $(STORE) --mlflow $(MLFLOW)
	@echo "restoration is $(BIN)/restoration: call it so, or first: source $(BIN)/activate (make dashboard needs neither)"

dashboard: $(VENV)/.run
	$(BIN)/restoration dashboard --store $(STORE)

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# Two workers: the tests that start Ray need the cores that they are given.
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2

test: lint
	$(PYTEST)

test-quick: $(VENV)/.dev
	$(PYTEST) -m "not slow"

spec-page: $(VENV)/.run
	$(BIN)/python -m sweeps.spec.writing.page docs/SPEC.md

lock: | $(BIN)/python
	cd requirements && ../$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header \
		bootstrap.in -o bootstrap.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --extra dashboard -o requirements/run.txt
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --extra dev -c requirements/run.txt -o requirements/dev.txt

clean:
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache *.egg-info
