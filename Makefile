# Footnote. `make` alone lists what can be made. Everything is installed into .venv and nowhere else, except Debian's
# Chromium for the browser tests, and that only for root.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

# A stamp is as old as the last installation: pip runs again only when what it reads has changed since.
RUN_STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
LOCAL_STAMP := $(VENV)/.installed-local

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run llm test pytest lint eval bench train screenshots schemas clean chromium

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo "  PYTHON=python3.12 chooses the interpreter that .venv is made with (3.11 or newer)"

run: $(RUN_STAMP) ## install, read seeds/ into the index, open the page
	$(BIN)/rag ingest seeds
	$(BIN)/rag serve

# A model on this machine writes the answers: its server in the background, the page before it, and Ctrl-C ends both.
NAME := qwen2.5-coder-1.5b
LLM_PORT := 8080
llm: $(LOCAL_STAMP) ## as run, with answers written by a local model; NAME=smollm2-135m for a small and weak one
	$(BIN)/rag models pull $(NAME)
	$(BIN)/rag ingest seeds
	@$(BIN)/rag models serve $(NAME) --port $(LLM_PORT) & server=$$!; \
	trap 'kill $$server 2>/dev/null; wait $$server' EXIT; trap 'exit 130' INT TERM; \
	RAG_LLM_BASE_URL=http://127.0.0.1:$(LLM_PORT)/v1 RAG_LLM_MODEL=$(NAME) RAG_LLM_TIMEOUT_S=300 $(BIN)/rag serve

# A file of tests stays in one process, which opens its models and servers once; the longest go first, as
# tests/conftest.py has them. One thread each: those of several processes would wait for one another.
test: $(DEV_STAMP) chromium ## install with development tools, then run all tests, and lint beside them
	@$(MAKE) --no-print-directory --jobs=2 lint pytest

pytest: $(DEV_STAMP)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder

lint: $(DEV_STAMP) ## format, lint, types and import rules, without the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

eval: $(DEV_STAMP) ## evaluate against the baseline, with ablations; SCIFACT=folder and SQUAD=file add outside benchmarks
	$(BIN)/rag eval --vary retrieval=fused,dense,lexical --vary evidence=trained,baseline,none --out eval-report/ablation
	$(BIN)/rag eval --baseline evals/baseline.json --out eval-report
	$(if $(SCIFACT),$(BIN)/python -m evals.bench_scifact $(SCIFACT))
	$(if $(SQUAD),$(BIN)/python -m evals.bench_squad $(SQUAD) --out eval-report/squad)

bench: $(DEV_STAMP) ## measure the pipeline on this machine
	$(BIN)/python -m evals.bench_pipeline

# Each step is left out where its result is there already, and a step that was stopped goes on from its checkpoint.
RUN := training
train: $(DEV_STAMP) ## make the evidence model anew, on a GPU, in RUN=training; READING, WORDNET and MPNET name folders
	@test -d "$(READING)" -a -d "$(WORDNET)" -a -d "$(MPNET)" || { \
	  echo "make train READING=folder WORDNET=folder MPNET=folder: rag/models/weights/README.md says what is in them" >&2; exit 1; }
	test -e $(RUN)/examples/made.json || $(BIN)/python -m evals.train.make_examples "$(READING)" "$(WORDNET)" \
	  $(RUN)/examples --passes 5 --seed 6 --all
	test -e $(RUN)/teacher/scores.npy || $(BIN)/python -m evals.train.teacher $(RUN)/examples $(RUN)/teacher \
	  --encoder "$(MPNET)" --examples 500000 --batch 128 --rate 6e-5
	test -e $(RUN)/reader/packed/model.safetensors || $(BIN)/python -m evals.train.reader $(RUN)/examples $(RUN)/reader \
	  --teacher $(RUN)/teacher --examples 1336000 --batch 256 --rate 2e-4 --seed 2
	$(BIN)/python -m evals.train.combine $(RUN)/reader/packed "$(READING)" --examples $(RUN)/examples

screenshots: $(DEV_STAMP) chromium ## take the pictures of the page in docs/ again
	$(BIN)/python docs/screenshots.py

schemas: $(DEV_STAMP) ## write docs/schemas anew from rag/records.py
	$(BIN)/python docs/write_schemas.py

clean: ## remove .venv, caches and build output; the index in .footnote stays
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -type d -name __pycache__ -prune -exec rm -rf {} +

# What it needs is checked first, and a failed attempt removed. Only its existence matters, hence order-only below.
$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Python 3.11 or newer is needed, '$(PYTHON)' is not: name another, as in 'make run PYTHON=python3.12'" >&2; \
	  exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "'$(PYTHON)' comes without the venv module: install it (on Debian: apt-get install python3-venv)" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(RUN_STAMP): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(PIP) --editable .
	@touch $@

$(LOCAL_STAMP): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(PIP) --editable '.[local]'
	@touch $(RUN_STAMP) $@

$(DEV_STAMP): pyproject.toml constraints.txt | $(VENV)/pyvenv.cfg
	$(PIP) --editable '.[dev]'
	@touch $(RUN_STAMP) $(LOCAL_STAMP) $@

# The tests of the page drive a real browser. Without one they fail, and this line says why: they are never skipped.
chromium:
	@command -v chromium >/dev/null && exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends chromium \
	    >/dev/null && exit 0; \
	fi; \
	echo "no chromium found, the browser tests will fail: install it, on Debian with 'sudo apt-get install chromium'" >&2
