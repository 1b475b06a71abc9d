# make demo         install into .venv, run the main job on the embedded cohort, write demo/
# make test         install into .venv, run the whole test suite, a worker per core
# make test-newest  a short suite on the newest Python and versions, in .venv-newest
# make install-newest  install what that needs, without running it
# make constraints  install the newest versions into VENV and write them to CONSTRAINTS
# make lint         ruff
# make docs         build the documentation into docs/_build/html
# make bench        speed and memory benchmarks, as ratios measured in one run
# make fuzz         damaged files and damaged fitted models, 5 minutes each; SEED=1 tries others
#
# Needs make and Python 3.11 to 3.13. PYTHON=/path/to/python chooses one, CONSTRAINTS=file the versions (CONSTRAINTS= is
# whatever the registry serves), VENV=folder the environment, TESTS="tests/io -x" what pytest runs.

PYTHON      ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
# The versions that the tests ran with.
CONSTRAINTS ?= constraints.txt
VENV        ?= .venv
TESTS       ?=
BIN         := $(VENV)/bin
PIP         := $(BIN)/python -m pip install --quiet --disable-pip-version-check $(addprefix -c ,$(CONSTRAINTS))

# A command that only stands for a Python that is elsewhere does not run.
NEWEST       = $(firstword $(foreach python,python3.13 $(wildcard $(HOME)/.pyenv/versions/3.13*/bin/python3.13),\
                 $(shell $(python) -c "import sys; print(sys.executable)" 2>/dev/null)))
SHORT       := tests/test_demo.py tests/test_two_environments.py tests/test_warnings.py tests/io tests/get tests/model tests/tl
SHORT       += -m 'not slow or newest'

.PHONY: demo test test-newest install-newest newest-python constraints lint docs bench fuzz clean FORCE

# Another Python makes the environment anew, other constraints install again.
$(VENV)/.choice: FORCE
	@test "$$($(BIN)/python -V 2>&1)" = "$$($(PYTHON) -V)" || $(PYTHON) -m venv --clear $(VENV)
	@echo '$(CONSTRAINTS)' | cmp -s - $@ || echo '$(CONSTRAINTS)' > $@

# What is installed is recorded in a file, written last: a set-up that was interrupted starts again.
$(VENV)/.base: pyproject.toml $(CONSTRAINTS) $(VENV)/.choice
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
	OMP_NUM_THREADS=1 NUMBA_NUM_THREADS=1 $(BIN)/python -m pytest -n auto --dist worksteal $(TESTS)

OF_NEWEST    = PYTHON=$(NEWEST) VENV=.venv-newest CONSTRAINTS=constraints-newest.txt

install-newest:
	@test -n "$(NEWEST)" || { echo "there is no Python 3.13 here; name one: make test-newest NEWEST=/path/to/python"; exit 1; }
	@$(MAKE) .venv-newest/.test $(OF_NEWEST)

test-newest: install-newest
	@$(MAKE) test $(OF_NEWEST) TESTS="$(SHORT)"

newest-python:
	@echo $(NEWEST)

constraints: $(VENV)/.dev
	$(BIN)/python -m pip install --quiet --upgrade --upgrade-strategy eager -e ".[dev]"
	@{ echo "# Versions of everything that the package and its extras docs, test and dev bring along."; \
	   echo "# Written by make constraints on $$($(BIN)/python -V). Use: pip install -c $(CONSTRAINTS) -e '.[test]'"; \
	   $(BIN)/python -m pip list --format=freeze --exclude-editable --exclude pip | LC_ALL=C sort -f | \
	   awk -F== '{ gsub(/[_.]+/, "-", $$1); sub(/[+].*/, "", $$2); print tolower($$1) "==" $$2 }'; } > $(CONSTRAINTS)

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
