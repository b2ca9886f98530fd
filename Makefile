# What people type. CI types the same. `make help` lists it.
PY ?= python3
# Another Python gets an environment of its own beside the first: make test PY=python3.12
VENV := .venv$(if $(filter-out python3,$(PY)),-$(shell $(PY) -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null))
BIN := $(VENV)/bin
READY := $(VENV)/.ready
RUN := PYTHONDONTWRITEBYTECODE= $(BIN)/python
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help demo test test-slow chaos model lint fmt bench up down lock clean

help:  ## list these commands
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | while IFS="$$(printf '\t')" read -r name what; do printf '  make %-10s %s\n' "$$name" "$$what"; done

demo: $(READY)  ## ingest sample meetings with real workers and real servers, and check every word
	@$(RUN) -m worker demo $(ARGS)

test: $(READY)  ## run the tests against real PostgreSQL and Valkey
	@$(RUN) -m pytest -n 4 -m 'not slow' $(ARGS)

test-slow: $(READY)  ## run what takes too long for every day
	@$(RUN) -m pytest -m slow $(ARGS)

chaos: $(READY)  ## break everything while three workers work: ARGS="--seed 7 --seconds 60 --with all"
	@$(RUN) -m tests.chaos $(ARGS)

model: $(READY)  ## try the engine's scripts against their model, from seed to seed: ARGS="--seed 7 --seconds 60"
	@$(RUN) -m tests.integration.engine.model $(ARGS)

lint: $(READY)  ## ruff, mypy --strict, import-linter
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

fmt: $(READY)  ## format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(READY)  ## measure, beside what others offer
	@$(RUN) -m benchmarks $(ARGS)

up:  ## PostgreSQL, Valkey, migrations and workers in containers
	docker compose up --build $(ARGS)

down:  ## stop the containers
	docker compose down

LOCK = $(BIN)/uv pip compile --universal --generate-hashes --no-header --python-version 3.11 --quiet
lock: $(READY)  ## pin the dependencies anew from pyproject.toml
	$(LOCK) pyproject.toml --extra worker -o requirements/base.txt
	$(LOCK) pyproject.toml --extra worker --extra tracing --extra embedded --extra dev -o requirements/dev.txt
	echo uv | $(LOCK) - -o requirements/bootstrap.txt

clean:  ## remove the virtual environment and every cache
	rm -rf .venv .venv-* .mypy_cache .ruff_cache .pytest_cache .import_linter_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# One step each, each said before it is done; a step that fails says what to do.
$(READY): requirements/bootstrap.txt requirements/dev.txt pyproject.toml
	@$(PY) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "set-up: Python 3.11 or newer is needed; name one with: make PY=python3.12 …" >&2; exit 1; }
	@# Made whole or not at all: an environment that was interrupted halfway has a python and no pip.
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { \
	  echo "set-up 1/4: a virtual environment in $(VENV)"; \
	  rm -rf $(VENV) && $(PY) -m venv $(VENV) || { rm -rf $(VENV); \
	    [ -w . ] || { echo "set-up: this folder cannot be written to" >&2; exit 1; }; \
	    echo "set-up: no virtual environment could be made; on Debian: apt install python3-venv" >&2; exit 1; }; }
	@echo "set-up 2/4: the installer"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/bootstrap.txt \
	  || echo "set-up: uv could not be installed; going on with pip, which is slower"
	@echo "set-up 3/4: the dependencies, pinned and hashed (requirements/dev.txt)"
	@if [ -x $(BIN)/uv ]; then VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --compile-bytecode --require-hashes -r requirements/dev.txt; \
	  else $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements/dev.txt; fi \
	  || { echo "set-up: the dependencies could not be installed; is a package index reachable? Run the same command again." >&2; exit 1; }
	@echo "set-up 4/4: the project itself"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e . \
	  || { echo "set-up: the project could not be installed; see the lines above" >&2; exit 1; }
	@touch $@
