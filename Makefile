# Every target builds .venv first when pyproject.toml or constraints.txt changed.
# PYTHON picks the interpreter (3.11 to 3.13), ARGS goes to the demo: make demo ARGS="--seed 3"
PYTHON ?= python3
ifeq ($(OS),Windows_NT)
BIN := .venv/Scripts
else
BIN := .venv/bin
endif
STAMP := .venv/.installed

.PHONY: install demo lint test test-all bench clean

install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[faces,reconstruct,decimate,colmap,heic,view,dev]'
	@touch $@

demo: install
	$(BIN)/python -m sansface demo $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# Tests start processes of their own: two busy OpenMP programs on few cores slow each other tenfold unless idle
# threads sleep. A reconstruction alone on its machine is a third faster if they do not.
test test-all: export OMP_WAIT_POLICY := PASSIVE

test: lint
	$(BIN)/python -m pytest -m 'not slow'

test-all: lint
	$(BIN)/python -m pytest

# All of docs/results.md: hours. The scripts can be run one by one.
bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@set -e; for script in benchmarks/[a-z]*.py; do echo "== $$script"; $(BIN)/python "$$script"; done

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
