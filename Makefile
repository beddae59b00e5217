# make serve | test | check | bench | format; each installs what it needs first.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
PORT ?= 3030

.PHONY: install install-dev serve test check lint bench format clean

install: $(VENV)/.service
install-dev: $(VENV)/.development

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else f"Python 3.11 or 3.12 is needed, $(PYTHON) is {v[0]}.{v[1]}; try: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.service: $(BIN)/python requirements.txt constraints.txt
	$(BIN)/pip install --quiet --requirement requirements.txt --constraint constraints.txt
	@touch $@

$(VENV)/.development: $(VENV)/.service requirements-dev.txt
	$(BIN)/pip install --quiet --requirement requirements-dev.txt --constraint constraints.txt
	@touch $@

serve: install
	SIGNCLIP_PORT=$(PORT) $(BIN)/gunicorn app:app

test: install-dev
	$(BIN)/python -m pytest

lint: install-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m checks.house
	$(BIN)/python -m checks.picture --check

check: lint test

bench: install-dev
	$(BIN)/python -m benchmarks

format: install-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis
