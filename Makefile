# Everything starts here: `make run` serves smtpweb, `make help` lists the rest.
# Needs Python 3.11 or newer and a package index; installs into .venv only.

PORT ?= 8000
PY = .venv/bin/python
PIP = $(PY) -m pip --quiet --disable-pip-version-check --no-input

# PYTHON=... chooses the interpreter; else the first of these that will do.
CANDIDATES = $(or $(PYTHON),python3 python3.13 python3.12 python3.11 python3.14 python)
SUITABLE = import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))

.DEFAULT_GOAL = help
.DELETE_ON_ERROR:
.PHONY: help run demo test check lint format words screenshots lock wheels bench fuzz

help: ## Show this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST)

run: .venv/run.stamp ## Install, migrate and serve on 127.0.0.1:8000 (PORT=... for another port)
	@PORT='$(PORT)' exec $(PY) -m smtpweb

demo: .venv/demo.stamp ## The same with a demo account and sandbox SMTP servers, apart from your data
	@PORT='$(PORT)' exec $(PY) -m smtpweb.demo

test: .venv/dev.stamp ## Run the whole test suite (ARGS=... for pytest)
	@$(PY) -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(ARGS)

check: lint test ## What must pass before a commit: format, lint, layers, types, tests

lint: .venv/dev.stamp ## The quick half of check: format, lint, layers, types
	$(PY) -m ruff format --check .
	$(PY) -m ruff check .
	$(PY) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()'
	$(PY) -m mypy

format: .venv/dev.stamp ## Write all code in the one format
	$(PY) -m ruff format .
	$(PY) -m ruff check --fix .

words: .venv/dev.stamp ## Collect the texts of the pages for translators, and compile what they wrote
	@$(PY) -m translations.collect

screenshots: .venv/dev.stamp ## Take the pictures of README and docs anew (needs Chromium)
	@$(PY) -m tests.support.screenshots

bench: .venv/bench.stamp ## Measure the check against other mailers (ARGS=--help tells what else)
	@if command -v npm >/dev/null; then npm ci --silent --no-audit --no-fund --prefix bench/check; fi
	@$(PY) -m bench.check $(ARGS)

fuzz: .venv/fuzz.stamp ## Fuzz the reader of replies for ten minutes (ARGS=... for libFuzzer)
	@$(PY) -m bench.fuzz.replies $(or $(ARGS),-max_total_time=600)

lock: .venv/lock/bin/uv ## Renew requirements/*.lock from pyproject.toml
	@$(compile) -o requirements/run.lock
	@for extra in demo dev bench fuzz; do \
	  $(compile) --extra $$extra -o requirements/$$extra.lock || exit 1; \
	done

wheels: .venv/lock/bin/uv ## Resolve every lock file for the oldest and the newest Python, wheels only
	@$(PY) -m tests.support.wheels

# The lock files name versions and hashes, never an index: everybody uses their own.
compile = .venv/lock/bin/uv pip compile --quiet --upgrade --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate --no-header \
	pyproject.toml

.venv/bin/python:
	@for python in $(CANDIDATES); do \
	  if $$python -c '$(SUITABLE)' 2>/dev/null; then \
	    echo "Making .venv with $$($$python --version)."; \
	    exec $$python -m venv --clear .venv; \
	  fi; \
	done; \
	echo "smtpweb needs Python 3.11 or newer with its venv module, and found none among:" \
	  "$(CANDIDATES) (on Debian: apt install python3-venv; elsewhere: make PYTHON=/path/to/python)." >&2; \
	exit 1

# The stamp tells that all of a lock file is installed; a newer lock file is installed again.
.venv/%.stamp: requirements/%.lock | .venv/bin/python
	@echo "Installing requirements/$*.lock into .venv (this takes a minute, but only once)."
	@$(PIP) install --require-hashes -r $<
	@touch $@

.venv/lock/bin/uv: | .venv/bin/python
	@$(PY) -m venv .venv/lock
	@.venv/lock/bin/python -m pip --quiet --disable-pip-version-check install uv
