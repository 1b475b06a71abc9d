# make demo   install into .venv, run the main job on the embedded cohort, write demo/
# make test   install into .venv, run the whole test suite
# make lint   ruff
# make docs   build the documentation into docs/_build/html
# make bench  speed and memory benchmarks, as ratios measured in one run

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint docs bench clean

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# torch by itself first: the pinned release has a CPU build, anything newer would bring CUDA along.
$(VENV)/.base: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(PIP) "torch==2.13.0"
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
	$(BIN)/python -m pytest

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

docs: $(VENV)/.dev
	$(BIN)/python -m sphinx -W --keep-going -b html docs docs/_build/html

bench: $(VENV)/.test
	$(BIN)/python benchmarks/run.py

clean:
	rm -rf demo docs/_build .pytest_cache .hypothesis
