# Two commands: `make demo` shows the main job, `make test` runs everything that CI runs. Both set themselves up.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: demo test lint types layers unit coverage format benchmarks stories clean help

help:
	@echo 'make demo        a throw-away CA, a master and a follower, on loopback'
	@echo 'make test        lint, types, layers and all tests (installs the servers they need, as root)'
	@echo 'make unit        only the fast tests that need no server'
	@echo 'make coverage    all tests again, with the branch coverage of everything: watched, the months of the stories take half as long again'
	@echo 'make benchmarks  ratios for the claims about speed'
	@echo 'make stories     play a hundred days of every story, and print what each master costs and leaves open, and each follower'
	@echo 'make clean       remove the virtual environment and all caches'

demo: $(VENV)/.demo
	@$(BIN)/python examples/demo.py

test: $(VENV)/.dev
	@.ci/servers
	@.ci/mail_servers
	@.ci/acmebot '$(VENV)'
	$(MAKE) --no-print-directory lint types layers
	$(BIN)/pytest tests/unit/policy tests/unit/model --cov --cov-report=
	$(BIN)/coverage report --include='acmectl/policy/*,acmectl/model/*' --fail-under=100
	$(BIN)/pytest -n 4 --dist worksteal --ignore=tests/unit/policy --ignore=tests/unit/model

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.dev
	$(BIN)/mypy

layers: $(VENV)/.dev
	$(BIN)/lint-imports

unit: $(VENV)/.dev
	$(BIN)/pytest tests/unit

coverage: $(VENV)/.dev
	$(BIN)/pytest -n 4 --dist worksteal --cov --cov-report=
	$(BIN)/coverage report --skip-empty

format: $(VENV)/.dev
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

benchmarks: $(VENV)/.dev
	$(BIN)/python -m pytest tests/benchmarks -s -p no:cacheprovider -o python_files='bench_*.py' -o python_functions='bench_*'

DAYS ?= 100
stories: $(VENV)/.dev
	@$(BIN)/python -m tests.stories.table $(DAYS)
	@echo
	@$(BIN)/python -m tests.stories.follower_table

clean:
	rm -rf $(VENV) *.egg-info build dist .coverage* .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find acmectl tests examples -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.demo: pyproject.toml .ci/venv
	@.ci/venv '$(PYTHON)' '$(VENV)' '.[sandbox]'
	@touch $@

$(VENV)/.dev: pyproject.toml .ci/venv
	@.ci/venv '$(PYTHON)' '$(VENV)' '.[dev]'
	@touch $@ $(VENV)/.demo
