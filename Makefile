# Afterglow. `make help` says what there is. Works with GNU make from 3.81 on.

PORT ?= 8000
PYTHON := .venv/bin/python
CATALOGS := $(wildcard clinic/locale/*/LC_MESSAGES/django.po)
# On an emulated or busy machine say WORKERS=1.
WORKERS ?= 2

.DEFAULT_GOAL := help
.PHONY: help setup demo test check fix lock bench prove mutate tour chromium

help:  ## say what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "%-8s %s\n", $$1, $$2 }' Makefile

setup: .venv/installed .venv/compiled  ## make the environment in .venv: .venv/bin/kap, .venv/bin/clinic

# One Python from 3.11 on, the packages exactly as locked (the lock is whole: no resolving, which a
# release newer than the lock could upset), then this clone beside them.
.venv/installed: requirements.txt pyproject.toml
	@found=; for name in python3 python3.14 python3.13 python3.12 python3.11; do \
	    if $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; \
	    then found=$$name; break; fi; done; \
	test -n "$$found" || \
	    { echo 'Afterglow needs Python 3.11 or newer: install python3' >&2; exit 1; }; \
	$(PYTHON) -m pip --version >/dev/null 2>&1 || $$found -m venv --clear .venv >/dev/null 2>&1 || \
	    { echo "$$found makes no environments: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --only-binary :all: --no-deps --require-hashes -r requirements.txt
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

.venv/compiled: .venv/installed $(CATALOGS)
	$(PYTHON) -c 'import pathlib, build_catalogs; build_catalogs.compile_all(pathlib.Path())'
	@touch $@

demo: setup  ## serve two sites of invented people on http://127.0.0.1:8000 (PORT overrides)
	PORT=$(PORT) .venv/bin/clinic demo

chromium: setup
	@$(PYTHON) tests/browser/chromium.py

test: setup chromium  ## run the whole suite, the browser's part included, and its coverage
	$(PYTHON) -m pytest -n $(WORKERS) --dist loadfile --cov --cov-report=
	$(PYTHON) -m coverage report --include='kap/*' --fail-under=100 --skip-covered --show-missing
	$(PYTHON) -m coverage report --include='clinic/*' --fail-under=95 --skip-covered --show-missing

check: setup  ## find what is wrong without running it: style, borders, types, lock, migrations, texts
	.venv/bin/ruff check
	.venv/bin/ruff format --check
	.venv/bin/lint-imports --no-logo
	.venv/bin/mypy
	$(PYTHON) -m pytest tests/meta/test_lock.py
	.venv/bin/clinic makemigrations --check --dry-run
	$(PYTHON) build_catalogs.py --check
	$(PYTHON) -m tests.spec --check

fix: setup  ## mend what a program can mend: style, texts taken up, pages generated
	.venv/bin/ruff check --fix
	.venv/bin/ruff format
	$(PYTHON) build_catalogs.py
	$(PYTHON) -m tests.spec

lock: setup  ## write requirements.txt anew from pyproject.toml (--upgrade: LOCK=--upgrade)
	.venv/bin/uv pip compile --quiet --universal --no-build --generate-hashes --no-header --no-annotate \
	    $(LOCK) pyproject.toml --extra clinic --extra proof --extra registry --extra dev --output-file requirements.txt

# The engines that stand beside ours, by their names; they are needed for nothing else.
.venv/peers: .venv/installed
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --no-build-isolation -e '.[bench]'
	@touch $@

bench: setup .venv/peers  ## measure, and write docs/benchmarks.md
	$(PYTHON) -m tests.bench

prove: setup  ## prove the protocols, ask the second reading about every chart, into docs/reliability.md
	$(PYTHON) -m tests.prove

# ARGS=--quick for a sample; ARGS='--workers 1' to leave a core free.
mutate: setup  ## make the product wrong, see who notices, write docs/reliability.md
	$(PYTHON) -m tests.mutation $(ARGS)

tour: setup chromium  ## walk the nine steps in Chromium, and save a picture of each in docs/tour
	$(PYTHON) -m tests.tour
