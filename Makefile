# `make demo` and `make test` set up what they need in .venv; they want Python 3.11 or later and nothing else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test quick check golden chaos matrix bench format clean

demo: $(VENV)/demo-ready
	$(BIN)/fbmon run recipes/quickstart.toml

# A test more at a time than there are cores; a worker that is done takes over from one that is not.
test: check
	$(BIN)/pytest -n auto --dist worksteal

# What starts no fbmon, drives no screen and needs no torch: less than a minute on two cores.
quick: $(VENV)/dev-ready
	$(BIN)/pytest --quick -n auto --dist worksteal

check: $(VENV)/dev-ready
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# DATA is the folder that holds cifar-10-batches-py.
golden: $(VENV)/dev-ready
	for file in tests/golden/*.json; do echo "$$file"; $(BIN)/python -m tools.replay $$file --data $(DATA) || exit 1; done

# The slow tests, and a hundred kills of random processes, in runs of one process and of two: a quarter of an hour.
chaos: $(VENV)/dev-ready
	$(BIN)/pytest -m slow
	$(BIN)/python -m tools.chaos --kills 100 --devices cpu --devices cpu:2

# The suite in every environment that is at hand: other versions, processors, users, shells. It downloads up to 3 GB for
# each version of torch, once, and writes docs/matrix.md; `python -m tools.matrix --rows lowest,nohup` runs some of them.
matrix: $(VENV)/dev-ready
	$(BIN)/python -m tools.matrix

# What docs/performance.md and docs/speed.md have tables of, as far as it fits on a machine without a GPU: a quarter of an
# hour on idle cores. With DATA, the folder that holds cifar-10-batches-py, also the ratio of processes to threads.
bench: $(VENV)/dev-ready
	$(BIN)/python -m benchmarks.throughput
	$(BIN)/python -m benchmarks.throughput --recipe fb_strong_reg --set gradient.block=32 --blocks 6
	$(BIN)/python -m benchmarks.growth $(if $(DATA),--data $(DATA))
	$(BIN)/python -m benchmarks.watching
	$(BIN)/python -m benchmarks.startup -n 5
	$(BIN)/python -m benchmarks.compare --counts 20 100

format: $(VENV)/dev-ready
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

clean:
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/demo-ready: pyproject.toml
	$(call set_up,.)
	touch $@

$(VENV)/dev-ready: pyproject.toml
	$(call set_up,'.[dev]')
	touch $@ $(VENV)/demo-ready

# pip either says nothing for minutes or prints two hundred lines: this says how much there is every two seconds in one
# line of a terminal, every ten in a log. Whoever watches ends with the shell, by whatever that is ended.
define set_up
	@echo 'setting up $(VENV): most of it is torch, whose download takes minutes'
	@$(PYTHON) -m venv $(VENV) && mkdir -p $(VENV)/tmp
	@if test -t 1; then every=2 line='\r%s MB'; else every=10 line='%s MB\n'; fi; \
	while sleep $$every >/dev/null && kill -0 $$$$; do \
		printf "$$line" "$$(du -sk $(VENV) | awk '{ print int($$1 / 1024) }')"; \
	done 2>/dev/null & watch=$$!; \
	TMPDIR="$(CURDIR)/$(VENV)/tmp" $(BIN)/python -m pip install --quiet --editable $(1); code=$$?; \
	kill $$watch; rm -rf $(VENV)/tmp; test -t 1 && echo; exit $$code
endef
