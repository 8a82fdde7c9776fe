# Run `make` for the targets. Everything is set up in .venv; needs Python 3.11 or newer.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DEMO := .demo
SHARE ?= 1
PARTS ?=
.DEFAULT_GOAL := help
.PHONY: help setup demo test torture check format lint types contract coverage bench clean

help: ## Show the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with everything in it

$(READY): pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("stepladder needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

demo: $(READY) ## Run both example pipelines on real data, offline, and replay what they decided
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(BIN)/stepladder play scenarios/text_to_sql_*.yaml --journal $(DEMO)/text_to_sql.db
	$(BIN)/stepladder play scenarios/ml_pipeline_*.yaml --journal $(DEMO)/ml_pipeline.db
	$(BIN)/stepladder replay --all --journal $(DEMO)/text_to_sql.db
	$(BIN)/stepladder replay --all --journal $(DEMO)/ml_pipeline.db

test: $(READY) ## Run the tests
	$(BIN)/python -m pytest

torture: $(READY) ## Kill processes, break disks and providers, run simulated worlds; SHARE=0.01 for some, PARTS= for parts
	$(BIN)/python -m tests.torture --share $(SHARE) $(if $(PARTS),--parts $(PARTS))

check: lint types contract test ## Lint, types, import contract, tests

format: $(READY) ## Format the code
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(READY)
	$(BIN)/mypy
	$(BIN)/pyright

contract: $(READY)
	$(BIN)/lint-imports

coverage: $(READY) ## Tests with a coverage report
	$(BIN)/python -m pytest --cov --cov-report=term-missing:skip-covered

bench: $(READY) ## Time a decision, a durable step and a question to a model, side by side with others
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[bench]'
	$(BIN)/python benchmarks/decide.py
	$(BIN)/python benchmarks/durable.py --quick
	$(BIN)/python benchmarks/llm.py

clean: ## Remove what was made
	rm -rf $(VENV) $(DEMO) .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage dist
