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

# Of hundreds of packages a few modules are ever imported, and those are compiled then.
install: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[faces,reconstruct,deidentify,restore,decimate,colmap,heic,video,view,serve,postgresql,cluster,dev]'
	@touch $@

demo: install
	$(BIN)/python -m sansface demo $(ARGS)

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --threads 2 --pythonpath $(BIN)/python
	$(BIN)/lint-imports

# As many processes of tests as tests/conftest.py says, one thread each. Tests start processes of their own, too: two
# busy OpenMP programs on few cores slow each other tenfold unless idle threads sleep.
test test-all: export OMP_NUM_THREADS := 1
test test-all: export OMP_WAIT_POLICY := PASSIVE
PYTEST := $(BIN)/python -m pytest -n auto --dist loadscope

test: lint
	$(PYTEST) -m 'not slow' --hypothesis-profile=repeatable

test-all: lint
	$(PYTEST)

# Rows of docs/results.md that need no folder of heads or people: hours. The others are run one by one.
BENCH = commands resolutions kill_and_resume mutated_bundles canary floor format_chains roles planted_faults mutated_folders \
	skull_poses large_photographs keyed_templates second_lock serve_latency queue_load page_speed

bench: install
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	@capture="$${SANSFACE_CAPTURES:-../shared/captures}/lps"; [ ! -d "$$capture" ] || $(BIN)/python -m sansface \
		bench paper "$$capture" -o build/tables --table stages --table all-rgb --table one-stage --seeds 0 1 2
	@set -e; for script in $(BENCH); do echo "== $$script"; $(BIN)/python benchmarks/$$script.py; done

clean:
	rm -rf .venv build dist .pytest_cache .ruff_cache .import_linter_cache .hypothesis
