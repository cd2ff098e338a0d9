# Every target does all its own set-up: a virtual environment, an install, and for test, demo and bench the real stack.
VENV ?= .venv
BIN := $(VENV)/bin
FIND_PYTHON := for p in $(PYTHON) python3 python3.14 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null 2>&1 && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; exit; }; done

.PHONY: run test faults demo bench check docs format stack clean help

run: $(VENV)/.run  ## the agent on its embedded defaults
	@$(BIN)/otelhealth run

# mostly waiting: more processes than the two cores that it is made for
test: $(VENV)/.dev stack  ## the whole suite, against the real Collector, Jaeger, Prometheus and Kafka
	$(BIN)/python -m pytest --numprocesses 3 --dist loadfile $(PYTEST)

faults: $(VENV)/.dev stack  ## what is lost when something dies, with outages as long as they are meant
	$(BIN)/python -m pytest -m faults --full-length $(PYTEST)

demo: $(VENV)/.dev stack  ## agent, example service, Collector, Jaeger and Prometheus together
	@$(BIN)/python -m examples.demo

bench: $(VENV)/.dev stack  ## the figures of docs/figures.md
	@$(BIN)/python -m benchmarks

check: $(VENV)/.dev  ## lint, format, types, import floors
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/.run  ## write docs/telemetry.md from what the kinds declare
	$(BIN)/python -m otelhealth.telemetry.table docs/telemetry.md

format: $(VENV)/.dev  ## put the code in its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

stack: $(VENV)/.venv  ## Collector, Jaeger, Prometheus, promtool and Kafka, built once and kept in the cache
	@$(BIN)/python tests/stack/build.py

$(VENV)/.venv:
	@python=$$($(FIND_PYTHON)); \
	test -n "$$python" || { echo "otelhealth needs Python 3.11 or newer; install it (Debian: apt-get install python3 python3-venv), or name one: make $(MAKECMDGOALS) PYTHON=/path/to/python3" >&2; exit 1; }; \
	$$python -m venv $(VENV) || { rm -rf $(VENV); echo "this Python cannot make a virtual environment; install its venv module (Debian: apt-get install python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.run: $(VENV)/.venv pyproject.toml
	@echo "installing otelhealth into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	@echo "installing the development tools into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $@

clean:  ## remove what the targets made here (the built stack stays in the cache)
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

help:  ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10
