# `make help` lists every target. Nothing here needs more than Python 3.11 and make.
PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin
PYTEST := $(BIN)/python -m pytest
JOBS ?= auto
HOME_DIR ?= ./arkwright-data

.DEFAULT_GOAL := help
.PHONY: help install dev demo up down test integration lint types floors openapi format lock bench-serving bench-batch check clean

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit("Arkwright needs Python 3.11 or newer; set PYTHON=/path/to/python3.11" if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)

# The locks are whole, so pip need not resolve anything (--no-deps); older ones fail on an extra of a pinned package.
$(VENV)/.installed: requirements.lock pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements-dev.lock $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.installed ## Create .venv and install the locked dependencies
dev: $(VENV)/.installed-dev ## Also install what tests and checks need

demo: $(VENV)/.installed ## Run the whole journey on the telco churn data (about two minutes)
	$(BIN)/python examples/demo.py --home ./arkwright-demo

up: $(VENV)/.installed ## Start the platform in the foreground; Ctrl-C stops it
	$(BIN)/arkwright up --home $(HOME_DIR)

down: $(VENV)/.installed ## Stop a platform that runs in the background
	$(BIN)/arkwright down --home $(HOME_DIR)

test: $(VENV)/.installed-dev ## Run the tests that need no service (the real platform is started where a test needs it)
	$(PYTEST) --quiet --doctest-modules src/arkwright --ignore=src/arkwright/kit/db/migrations
	$(PYTEST) -n $(JOBS) --dist loadgroup -m "not postgres" $(PYTEST_ARGS)

integration: $(VENV)/.installed-dev ## Run the tests that need PostgreSQL; skipped, with a reason, where there is none
	$(PYTEST) -n $(JOBS) --dist loadgroup -m postgres $(PYTEST_ARGS)

lint: $(VENV)/.installed-dev ## Check style and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev ## Check types
	$(BIN)/mypy

floors: $(VENV)/.installed-dev ## Check that imports go down only
	$(BIN)/lint-imports

openapi: $(VENV)/.installed-dev ## Write openapi.json and the SDK's types from the code
	$(BIN)/python -m arkwright.server.openapi > openapi.json.new && mv openapi.json.new openapi.json
	$(BIN)/python tools/generate_sdk_types.py

format: $(VENV)/.installed-dev ## Format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Resolve the dependencies anew (needs uv)
	uv pip compile pyproject.toml --extra build --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --no-annotate -o requirements.lock
	uv pip compile pyproject.toml --extra build --extra dev -c requirements.lock --override tools/dev-overrides.txt --universal \
		--python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate -o requirements-dev.lock

bench-serving: $(VENV)/.installed-dev ## Compare serving with the usual model servers (needs wrk; about 15 minutes)
	$(BIN)/python benchmarks/serving/run.py --output docs/serving-performance.md $(BENCH_ARGS)

bench-batch: $(VENV)/.installed-dev ## Compare batch scoring with pandas and scikit-learn
	$(BIN)/python benchmarks/batch_scoring.py $(BENCH_ARGS)

check: lint types floors test integration ## Everything CI runs

clean: ## Remove the virtual environment and caches (not your data)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
