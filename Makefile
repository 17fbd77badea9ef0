# make run          a sample project, served on http://127.0.0.1:8000 (PORT= for another port)
# make test         everything the tests need, then the tests
# make lint         ruff, mypy, import-linter
# make conformance  the case packs (CASES= DATABASE=sqlite|postgresql PROFILE= TIER= OUT=)
# make bench        Portero beside its peers; writes benchmarks/results.json, results.md and the READMEs' table
#                   (ARGS=--quick for a short try, ARGS=--tables to write the tables again)
# make bench-guard  instructions of two reads against the committed figures (ARGS=--write keeps new ones)
# make bench-profile where the time of each workload goes; writes docs/explanation/where-the-time-goes.md
# make bench-curves how the cost grows, with plots; writes docs/explanation/growth.md (ARGS=--quick tries it,
#                   ARGS=--whole goes to ten million rows, ARGS="--only rows" measures one curve)
# make soak         many users sign in, refresh and sign out for five minutes (SECONDS=300 USERS=10000
#                   DATABASE=sqlite, or postgresql); on both databases it writes benchmarks/soak.json and
#                   docs/explanation/soak.md
# make lock         new requirements*.lock from pyproject.toml
# Needed: Python 3.11 or newer, git, make.

PYTHON ?= python3
BIN := .venv/bin
PACKS := $(or $(PORTERO_PACKS),../shared/conformance)
BUILD := hatchling>=1.26\neditables>=0.5\n
# Tests run in as many processes as there are cores, four at most; the tests of a file in one of them.
ABREAST := -n auto --maxprocesses 4 --dist loadfile

.PHONY: run test lint conformance bench bench-guard bench-profile bench-curves soak lock check-python

run: .venv/installed
	@test -d sample || $(BIN)/portero new sample --quiet
	@cd sample && exec ../$(BIN)/portero serve --dev --examples $(if $(PORT),--port $(PORT))

test: .venv/installed-dev
	$(BIN)/coverage erase
	$(BIN)/python -m pytest $(ABREAST) --cov --cov-report=term:skip-covered $(ARGS)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: .venv/installed-dev
	@PORTERO_PACKS="$(PACKS)" CASES="$(CASES)" DATABASE="$(DATABASE)" PROFILE="$(PROFILE)" TIER="$(TIER)" OUT="$(OUT)" \
		$(BIN)/python -m tests.conformance.run

bench: .venv/installed-dev
	@$(BIN)/python -m benchmarks.run $(ARGS)

bench-guard: .venv/installed-dev
	@$(BIN)/python -m benchmarks.guard $(ARGS)

bench-profile: .venv/installed-dev
	@$(BIN)/python -m benchmarks.profiled $(ARGS)

bench-curves: .venv/installed-curves
	@$(BIN)/python -m benchmarks.curves $(ARGS)

soak: .venv/installed-dev
	@$(BIN)/python -m benchmarks.soak $(if $(SECONDS),--seconds $(SECONDS)) $(if $(USERS),--users $(USERS)) \
		$(if $(DATABASE),--database $(DATABASE)) $(ARGS)

lock: .venv/installed-dev
	$(BIN)/pip install --quiet "uv>=0.8"
	printf '$(BUILD)' | $(BIN)/uv pip compile pyproject.toml - $(LOCKING) -o requirements.lock
	printf '$(BUILD)' | $(BIN)/uv pip compile pyproject.toml - --group dev --extra postgresql $(LOCKING) -o requirements-dev.lock
	$(BIN)/uv pip compile benchmarks/peers/fastapi/requirements.in $(LOCKING) -o benchmarks/peers/fastapi/requirements.lock
	$(BIN)/uv pip compile benchmarks/curves/requirements.in -c requirements-dev.lock $(LOCKING) -o benchmarks/curves/requirements.lock

# Versions and hashes for every platform; no address of any index. A lock names all it takes, so pip resolves nothing
# (--no-deps above): asked for an extra, it would look at versions newer than the locked one, and refuse them.
LOCKING := --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-emit-index-url

# As pip does with what it copies: without it each start would compile all modules again where Python may not write.
COMPILED := $(BIN)/python -m compileall -q src

.venv/installed: requirements.lock pyproject.toml | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing Portero into .venv (once; a minute or two) ..."
	@test -e .venv/installed-dev || $(BIN)/pip install --quiet --no-deps --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@$(COMPILED)
	@touch $@

.venv/installed-dev: requirements-dev.lock pyproject.toml | check-python
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing what the tests need into .venv (PostgreSQL and Node among it) ..."
	@$(BIN)/pip install --quiet --no-deps --require-hashes -r requirements-dev.lock
	@$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@$(COMPILED)
	@touch $@ .venv/installed

# What draws the plots; nothing else needs it.
.venv/installed-curves: benchmarks/curves/requirements.lock .venv/installed-dev
	@$(BIN)/pip install --quiet --no-deps --require-hashes -r benchmarks/curves/requirements.lock
	@touch $@

check-python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Portero needs Python 3.11 or newer; name it: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
