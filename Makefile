# `make demo` and `make test` set up what they need in .venv; they want Python 3.11 or later and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check golden chaos format clean

demo: $(VENV)/demo-ready
	$(BIN)/fbmon run recipes/quickstart.toml

test: check
	$(BIN)/pytest

check: $(VENV)/dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# DATA is the folder that holds cifar-10-batches-py.
golden: $(VENV)/dev-ready
	for file in tests/golden/*.json; do echo "$$file"; $(BIN)/python -m benchmarks.replay $$file --data $(DATA) || exit 1; done

# The slow tests, and a hundred kills of random processes, in runs of one process and of two: a quarter of an hour.
chaos: $(VENV)/dev-ready
	$(BIN)/pytest -m slow
	$(BIN)/python -m benchmarks.chaos --kills 100 --devices cpu --devices cpu:2

format: $(VENV)/dev-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/demo-ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/dev-ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/demo-ready
