# Two commands are enough: `make demo` and `make test`. Everything installs into .venv; nothing outside this directory changes.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
BASE_PYTHON := $(shell for p in python3.11 python3; do $$p -c '$(NEW_ENOUGH)' >/dev/null 2>&1 && command -v $$p && break; done || true)
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt
export DAGSTER_HOME := $(CURDIR)
# Modules are compiled once and not by every process: the tests start about a thousand.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo handbook-qa code-qa test dagster-range check ui bench clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: .venv/.demo ## Generate the example dataset from this Python's documentation, through Dagster; run it twice
	@$(BIN)/python examples/demo.py

handbook-qa: .venv/.demo ## Run the example pipeline: this project's guide to questions and answers (simulated replies)
	@$(BIN)/sdg generate examples/handbook_qa/handbook_qa/defs/handbook_qa/pipeline.yaml
	@$(BIN)/sdg process examples/handbook_qa/handbook_qa/defs/handbook_qa/pipeline.yaml

code-qa: .venv/.demo ## Run the example pipeline over code: this project's modules to questions and answers (simulated replies)
	@$(BIN)/sdg generate examples/code_qa/code_qa/defs/code_qa/pipeline.yaml
	@$(BIN)/sdg process examples/code_qa/code_qa/defs/code_qa/pipeline.yaml

test: .venv/.dev ## Run all tests
	@$(BIN)/pytest

dagster-range: .venv/.dev ## Install the oldest and newest Dagster that are supported beside the environment's own, for their test
	@$(BIN)/python -m tests.support.dagster_range

check: .venv/.dev ## Lint, formatting, types, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

ui: .venv/.demo ## Open the Dagster UI on http://127.0.0.1:3000
	@$(BIN)/dagster dev

bench: .venv/.dev ## Time the work that needs no model against a hand-written script
	@$(BIN)/python -m benchmarks.w1

clean: ## Remove .venv, .dagster and caches; generated data stays
	@rm -rf .venv .dagster .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	@find . -path ./.git -prune -o -type d -name __pycache__ -exec rm -rf {} +

.venv/.python:
	@test -n "$(BASE_PYTHON)" || { \
	  echo "This project needs Python 3.11 or newer; python3 is $$(python3 --version 2>&1 || true)." >&2; \
	  echo "Install one (Debian, Ubuntu: apt-get install python3 python3-venv), or name it: make BASE_PYTHON=/path/to/python ..." >&2; exit 1; }
	@$(BASE_PYTHON) -c '$(NEW_ENOUGH)' || { echo "$(BASE_PYTHON) is older than Python 3.11." >&2; exit 1; }
	@$(BASE_PYTHON) -m venv .venv || { \
	  echo "No virtual environment could be made; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }
	@touch $@

.venv/.demo: .venv/.python pyproject.toml constraints.txt
	@echo "Installing into .venv (takes a minute the first time)"
	@$(INSTALL) -e .
	@touch $@

.venv/.dev: .venv/.python pyproject.toml constraints.txt
	@echo "Installing into .venv (takes a minute the first time)"
	@$(INSTALL) -e '.[dev]'
	@touch $@ .venv/.demo
