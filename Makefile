# Two commands for a new machine: `make demo` and `make test`. `make check` is what CI runs.
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# The first interpreter that is new enough; set PYTHON to choose another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
  $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$p && break; done)
# Three workers unless told otherwise: the suite is written for two cores, and a good part of it waits for other processes.
TEST_JOBS ?= 3

.PHONY: help demo test check format lint types layers test-slow man reference verify mutants torture bench peers mcp-clients clean
help: ## Show the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

$(READY): pyproject.toml
	@test -n "$(PYTHON)" || { echo "grex needs Python 3.11 or newer; none was found (set PYTHON=...)." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable . --group dev
	@touch $(READY)

demo: $(READY) ## Build local upstream repositories, sync a nested workspace, show the tree.
	$(BIN)/grex --quiet demo build/demo

test: $(READY) ## Run the tests (the fast ones, in parallel).
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal -m "not slow and not exhaustive"

test-slow: $(READY) ## Run the tests that take more than a few seconds each.
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal -m "slow and not exhaustive"

format: $(READY) ## Check the formatting.
	$(BIN)/ruff format --check .

lint: $(READY) ## Check the style.
	$(BIN)/ruff check .

types: $(READY) ## Check the types.
	$(BIN)/mypy

layers: $(READY) ## Check who imports whom.
	$(BIN)/lint-imports

check: format lint types layers test test-slow ## Everything that CI checks.

man: $(READY) ## Write the manual pages into build/man.
	$(BIN)/python -m reference man build/man

reference: $(READY) ## Write the generated parts of docs/reference.
	$(BIN)/python -m reference

verify: $(READY) ## Check the models of the lock protocol with spin, and that each mistake in them is found.
	$(BIN)/python -m verify

# The torture of the locks has to find some of them without being told: `python -m tests.mutants --torture 60`.
mutants: $(READY) ## Make every mistake of a list in a copy of the code, and see that its test fails there.
	$(BIN)/python -m tests.mutants

torture: $(READY) ## Kill syncs at random moments, torture the locks for a while, and judge what is left; try other examples.
	$(BIN)/python -m bench.torture
	$(BIN)/python -m bench.lock_torture
	$(BIN)/python -m pytest -n $(TEST_JOBS) --dist worksteal -m exhaustive
	$(BIN)/python -m pytest -n $(TEST_JOBS) --hypothesis-profile=random $$(grep -rlw '@given' tests)

bench: $(READY) ## Measure ratios against peers and floors in one interleaved run.
	$(BIN)/python -m bench

peers: $(READY) ## Install the tools that benchmarks and slow tests compare with.
	$(BIN)/python -m pip install --quiet west vcs2l tsrc fasteners portalocker

# Without a lock file: the four are pinned, and a lock file would name a registry. A registry that is not there is given
# up after one try.
mcp-clients: ## Install the MCP clients that slow tests drive `grex serve` with (needs npm).
	mkdir -p build/mcp-clients
	cp tests/mcp_clients/package.json build/mcp-clients/package.json
	npm install --prefix build/mcp-clients --no-package-lock --no-audit --no-fund --loglevel=error \
	  --fetch-retries=0 --fetch-timeout=30000

clean: ## Remove what make made.
	rm -rf $(VENV) build
