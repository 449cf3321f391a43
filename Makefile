## make demo   install, build and load the demo, run the whole graph offline, show the leaderboard
## make test   lint, types, import contracts, tests
## make test-numerics   the numeric tests under other processors' kernels, one thread and two
## make dev    the Dagster UI on http://127.0.0.1:3000, the dashboard on port 7860, the API on port 8000
## make clean  stop what runs and remove what the other targets made (your own dumps stay)
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
VENV := .venv
BIN := $(VENV)/bin

.PHONY: help install demo test test-numerics lint dev clean

help:
	@sed -n 's/^## //p' Makefile

# PyTorch first and by pip: pip takes a CPU build where one is offered (an index or folder of such
# builds can be named by PIP_EXTRA_INDEX_URL or PIP_FIND_LINKS), uv would not look there. The rest
# by uv, which needs seconds where pip needs minutes; byte-compiled, or every start would pay. Where
# nothing can be written into the cache of HOME it goes without one; pip does so by itself.
$(VENV)/.installed: pyproject.toml constraints.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed: apt-get install python3 python3-venv"; exit 1; }
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "$(PYTHON) is too old; Python 3.11 or newer is needed (make PYTHON=...)"; exit 1; }
	@test -x $(BIN)/python || "$(PYTHON)" -m venv $(VENV) || { rm -rf $(VENV); echo "Cannot make a virtual environment: apt-get install python3-venv"; exit 1; }
	@echo "… installing"
	@started=$$SECONDS; \
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv torch \
		2> >(grep -v "is ignored: it is neither" >&2 || true); \
	cache=$$($(BIN)/uv cache dir); { mkdir -p "$$cache" && test -w "$$cache"; } 2>/dev/null || export UV_NO_CACHE=1; \
	$(BIN)/uv pip install --quiet --python $(BIN)/python --compile-bytecode -c constraints.txt -e '.[embed,topics,ragas,metrics,dashboard,tracing,dev]'; \
	echo "installing                          $$((SECONDS - started)) s"
	@touch $@

install: $(VENV)/.installed

demo: install
	@$(BIN)/rag-bench demo

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	$(BIN)/pytest $(PYTEST_ARGS)

test-numerics: install
	@$(BIN)/python benchmarks/same_on_any_machine.py tests

dev: install
	@$(BIN)/rag-bench dev

clean:
	@test ! -x $(BIN)/rag-bench || $(BIN)/rag-bench db delete --yes || true
	rm -f data/dumps/virtassist_demo_*.dump data/dumps/.virtassist_demo.json
	rm -rf $(VENV) .rag_bench reports build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
