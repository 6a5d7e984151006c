# Everything starts here: `make run` serves smtpweb, `make help` lists the rest.
# Needs Python 3.11 or newer and a package index; installs into .venv only.

PORT ?= 8000
PY = .venv/bin/python
PIP = $(PY) -m pip --quiet --disable-pip-version-check --no-input

# PYTHON=... chooses the interpreter; the default is the first suitable one of these.
CANDIDATES = $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python)
SUITABLE = import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

# Tests wait for servers about as long as they compute: four at a time, also on two cores. They
# run in the order of tests/conftest.py, which begins with the files that take longest.
TOGETHER = --numprocesses 4 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.PHONY: help run demo test check check-postgres lint format words screenshots weights lock wheels bench fuzz

help: ## Show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Install, migrate and serve on 127.0.0.1:8000 (PORT=... for another port)
	@PORT='$(PORT)' exec $(PY) -m smtpweb

demo: .venv/demo.stamp ## Serve a demo account with sandbox SMTP servers, separate from your data
	@PORT='$(PORT)' exec $(PY) -m smtpweb.demo

test: .venv/dev.stamp ## Run the whole test suite (ARGS=... for pytest)
	@$(PY) -m pytest $(TOGETHER) $(ARGS)

check-postgres: .venv/dev.stamp ## Run the whole test suite on PostgreSQL instead of on both databases
	@SMTPWEB_TEST_DATABASE=postgresql $(PY) -m pytest $(TOGETHER) $(ARGS)

check: lint test ## What must pass before a commit: format, lint, layers, types, tests

lint: .venv/dev.stamp ## The quick half of check: format, lint, layers, types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(PY) -m mypy

format: .venv/dev.stamp ## Format the code
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

words: .venv/dev.stamp ## Collect the texts of the pages for translation, and compile the translations
	@$(PY) -m translations.collect

screenshots: .venv/dev.stamp ## Take the screenshots for README and docs (needs Chromium)
	@$(PY) -m tests.support.screenshots

bench: .venv/bench.stamp ## Measure the check against other mailers (ARGS=--help for options)
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund --prefix bench/check; fi
	@$(PY) -m bench.check $(ARGS)

fuzz: .venv/fuzz.stamp ## Fuzz the parser of SMTP replies for ten minutes (ARGS=... for libFuzzer)
	@$(PY) -m bench.fuzz.replies $(or $(ARGS),-max_total_time=600)

weights: .venv/learn.stamp ## Learn the weights of the diagnosis' classifier from phrases and replies
	@$(PY) -m bench.diagnosis.train

lock: .venv/lock/bin/uv ## Update requirements/*.lock from pyproject.toml (UPGRADE=--upgrade: newer versions too)
	@$(compile) -o requirements/run.lock
	@for extra in demo dev bench learn fuzz; do \
	  $(compile) --extra $$extra -o requirements/$$extra.lock || exit 1; \
	done
	@$(resolve) bench/api/requirements.in -o requirements/bench-api.lock

wheels: .venv/lock/bin/uv ## Resolve every lock file from wheels alone, for the oldest and newest Python
	@$(PY) -m tests.support.wheels

# The lock files contain versions and hashes but no index: everybody uses their own.
resolve = .venv/lock/bin/uv pip compile --quiet $(UPGRADE) --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header
compile = $(resolve) pyproject.toml

.venv/bin/python:
	@for python in $(CANDIDATES); do \
	  if $$python -c '$(SUITABLE)' 2>/dev/null; then \
	    echo "Creating .venv with $$($$python --version)."; \
	    exec $$python -m venv --clear .venv; \
	  fi; \
	done; \
	echo "smtpweb needs Python 3.11 or newer with its venv module, and found none among:" \
	  "$(CANDIDATES) (on Debian: apt install python3-venv; elsewhere: make PYTHON=/path/to/python)." >&2; \
	exit 1

# A stamp means that all of its lock file is installed; a newer lock file is installed again.
.venv/%.stamp: requirements/%.lock | .venv/bin/python
	@echo "Installing requirements/$*.lock into .venv (this takes a minute, but only once)."
	@$(PIP) install --require-hashes -r $<
	@touch $@

.venv/lock/bin/uv: | .venv/bin/python
	@$(PY) -m venv .venv/lock
	@.venv/lock/bin/python -m pip --quiet --disable-pip-version-check install uv
