# make serve | playground | test | check | bench | format; each installs what it needs first.
SHELL := /bin/bash
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
PORT ?= 3030

.PHONY: install install-dev serve serve-production demo playground test check lint bench format clean

install: $(VENV)/.service $(BIN)/signclip
install-dev: $(VENV)/.development $(BIN)/signclip

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if v in ((3, 11), (3, 12)) else f"Python 3.11 or 3.12 is needed, $(PYTHON) is {v[0]}.{v[1]}; try: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)")'
	$(PYTHON) -m venv $(VENV)

# The sizes are of the pinned versions, on disk, with torch's CPU build.
$(VENV)/.service: $(BIN)/python requirements.txt constraints.txt
	@echo "Installing what the service needs into $(VENV): about 100 packages, 2.7 GB; some minutes."
ifeq ($(TORCH_INDEX_URL),)
	@echo "On Linux this is torch with CUDA, which is about 3 GB more. For its CPU build: make $(MAKECMDGOALS) TORCH_INDEX_URL=the CPU index that pytorch.org's install page names"
else
	$(BIN)/pip install $(shell grep '^torch==' requirements.txt) --index-url $(TORCH_INDEX_URL)
endif
	$(BIN)/pip install --requirement requirements.txt --constraint constraints.txt
	@touch $@

$(VENV)/.development: $(VENV)/.service requirements-dev.txt
	@echo "Installing what training, tests and checks need as well: about 80 packages, 0.6 GB."
	$(BIN)/pip install --requirement requirements-dev.txt --constraint constraints.txt
	@touch $@

$(BIN)/signclip: $(BIN)/python
	@printf '#!/bin/sh\nexec "%s" "%s" "$$@"\n' '$(abspath $(BIN))/python' '$(CURDIR)/signclip.py' > $@
	@chmod +x $@

serve: install
	SIGNCLIP_PORT=$(PORT) $(BIN)/signclip serve

# Behind the nginx that ships, as in production.
serve-production: install
	SIGNCLIP_PORT=$(PORT) deploy/serve.sh

# The clips are files of this package; nothing that it needs is installed.
demo: install
	$(BIN)/pip install --quiet --no-deps $(shell grep '^spoken-to-signed==' requirements-dev.txt)
	SIGNCLIP_DEMO=1 SIGNCLIP_PORT=$(PORT) $(BIN)/signclip serve

# The pose estimator that the playground runs in browsers, by the digests of package-lock.json, and what checks the page.
playground: app/playground/vendor/manifest.json

app/playground/vendor/manifest.json: package.json package-lock.json app/playground/copy_vendor.mjs
	@command -v npm > /dev/null || { echo "npm is needed, which comes with Node.js (20 or newer); on Debian: apt-get install npm"; exit 1; }
	npm ci --no-progress
	node app/playground/copy_vendor.mjs

test: install-dev
	$(BIN)/python -m pytest

lint: install-dev
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m checks.house
	$(BIN)/python -m checks.picture --check
	$(if $(wildcard node_modules/.bin/tsc),node_modules/.bin/tsc --project .,@echo "The types of app/playground are checked after make playground.")

check: lint test

bench: install-dev
	$(BIN)/python -m benchmarks

format: install-dev
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

clean:
	rm -rf $(VENV) node_modules app/playground/vendor .mypy_cache .ruff_cache .pytest_cache .hypothesis
