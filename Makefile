# make demo   install into .venv, run the main job on the embedded cohort, write demo/
# make test   install into .venv, run the whole test suite, a worker per core
# make lint   ruff
# make docs   build the documentation into docs/_build/html
# make bench  speed and memory benchmarks, as ratios measured in one run
# make fuzz   damaged files and damaged fitted models, 5 minutes each; SEED=1 tries others
#
# Needs make and Python 3.11 to 3.13; make PYTHON=/path/to/python chooses one.

PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
VENV   := .venv
BIN    := $(VENV)/bin
# The constraints are the versions that the tests ran with.
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint docs bench fuzz clean

# What is installed is recorded in a file, written last: a set-up that was interrupted starts again.
$(VENV)/.base: pyproject.toml constraints.txt
	@echo "Installing into $(VENV), which takes some minutes the first time ..."
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/.test: $(VENV)/.base
	$(PIP) -e ".[test]"
	@touch $@

$(VENV)/.dev: $(VENV)/.test
	$(PIP) -e ".[dev]"
	@touch $@

demo: $(VENV)/.base
	$(BIN)/python -m tcellmil.demo

test: $(VENV)/.test
	$(BIN)/python -m pytest -n auto --dist loadscope

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -E -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

SEED ?= 0
fuzz: $(VENV)/.test
	$(BIN)/python fuzz/readers.py --seconds 300 --seed $(SEED)
	$(BIN)/python fuzz/states.py --seconds 300 --seed $(SEED)

clean:
	rm -rf demo docs/_build docs/generated .pytest_cache .hypothesis
