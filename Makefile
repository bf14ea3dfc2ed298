# make demo   check the trained model in the repository, on data that it has not seen
# make test   all tests
# make fuzz   mutants of small models through everything, MUTANTS of them from SEED
# make rounding  the rounding of every operator against onnxruntime's, in 1,000 runs each
# make lint   types, style, format
# make docs   the documentation as a site, in site/
# make bench  every benchmark, with its ratios
# make clean  removes what these made
# Each sets up .venv first; nothing else has to be done before.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
DIGITS := models/digits
MUTANTS ?= 5000
SEED ?= 0
ROUNDING_RUNS ?= 1000
# As many test processes as cores, each with one thread: more would only wait for each other.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

.PHONY: demo test fuzz rounding lint docs bench clean

demo: .venv/ready-demo
	$(BIN)/normdeploy inspect $(DIGITS)/original.onnx
	$(BIN)/normdeploy check $(DIGITS)/digits.onnx --reference $(DIGITS)/original.onnx --data $(DIGITS)/heldout.npz

test: .venv/ready-test
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses auto --maxprocesses 4

fuzz: .venv/ready-test
	$(ONE_THREAD) $(BIN)/python -m tests.fuzz --mutants $(MUTANTS) --seed $(SEED)

rounding: .venv/ready-test
	$(ONE_THREAD) ROUNDING_RUNS=$(ROUNDING_RUNS) $(BIN)/python -m pytest tests/reference/test_rounding_registry.py --numprocesses auto --maxprocesses 4

lint: .venv/ready-test
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	git ls-files 'plugins/*.h' 'plugins/*.cpp' 'plugins/*.cu' 'plugins/*.cuh' | xargs --no-run-if-empty $(BIN)/clang-format --dry-run --Werror

docs: .venv/ready-docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html"

bench: .venv/ready-test
	$(PIP) install --constraint constraints.txt --editable '.[bench]'
	set -e; for script in $$(grep -l __main__ benchmarks/*.py); do echo "== $$script"; $(BIN)/python $$script; done

clean:
	rm -rf .venv build dist site .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/ready-demo: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[cpu]'
	touch $@

.venv/ready-test: .venv/ready-demo
	$(PIP) install --constraint constraints.txt --editable '.[test,lint]'
	touch $@

.venv/ready-docs: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) install --constraint constraints.txt --editable '.[docs]'
	touch $@
