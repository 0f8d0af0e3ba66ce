# `make help` lists the targets.
PYTHON ?= python3.11
VENV ?= .venv
BIN := $(VENV)/bin
PROFILE ?= default
COHORT ?= simulated
SEED ?= 0
JOBS ?= all
GPU ?= 0
NAME ?=
CLUSTER ?=
FANOUT ?= 1
FRESH ?= 0
BUDGET ?= 1
export FRESH BUDGET
# Without byte code beside the sources every process would compile radlib and its libraries' modules anew.
unexport PYTHONDONTWRITEBYTECODE

TORCH := $(shell sed -n 's/^torch==\([0-9.]*\).*/torch==\1/p' requirements-cuda.lock)
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
# uv reads no configuration of pip: the registry that pip was told of is handed over.
PIP_SAYS = $(shell $(BIN)/pip config get global.$(1) 2>/dev/null || $(BIN)/pip config get :env:.$(1) 2>/dev/null)
UV_ENV = VIRTUAL_ENV=$(VENV) $(if $(call PIP_SAYS,index-url),UV_DEFAULT_INDEX="$(call PIP_SAYS,index-url)")
INSTALL = $$(test -x $(BIN)/uv && echo "env $(UV_ENV) $(BIN)/uv pip install --compile-bytecode" || echo "$(BIN)/pip install") --quiet --no-deps
STAMP := $(VENV)/.installed
# A job that asks for more cores than any node has would wait for ever, and so would everything without a controller.
NODE_CORES = $(shell timeout 60 sinfo --noheader --format=%c | tr -d + | sort -n | tail -1)
NO_SLURM = CLUSTER=slurm, but no SLURM answers here (see above): try `sinfo`, or run without CLUSTER
MOST_THREADS = $(if $(filter slurm,$(CLUSTER)),--max-threads $(or $(NODE_CORES),$(error $(NO_SLURM))))
WHERE = $(if $(CLUSTER),--workflow-profile workflow/profiles/$(CLUSTER) $(MOST_THREADS),--cores $(JOBS) --resources gpu=1)
# Another set of inputs is no reason to run again: FANOUT changes it and not the results.
SNAKEMAKE = $(BIN)/python -m snakemake --snakefile workflow/Snakefile $(WHERE) \
	--nolock --rerun-incomplete --rerun-triggers code mtime params --keep-going --quiet rules \
	--config "cohort=$(COHORT)" profile=$(PROFILE) seed=$(SEED) fanout=$(FANOUT) --
# worksteal: a process runs the tests of a file one after the other, so that what they share is made once.
# UTF-8 whatever the locale is, also where a library sets another one in the middle of a run.
RUN_TESTS = PYTHONUTF8=1 $(BIN)/python -m pytest -n auto --dist worksteal --durations 20

.DEFAULT_GOAL := help
.PHONY: help install book pdf paper-steps chapters cohorts chapter notebooks lab test test-fast lint lock clean

help: ## Show this help
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo
	@echo "  PROFILE=smoke|default|paper   COHORT=simulated|real|my.yml   SEED=0   JOBS=all   GPU=0|1"
	@echo "  CLUSTER=slurm   FANOUT=1 (jobs that share the trainings of a chapter)"
	@echo "  FRESH=1 (ignore what is kept)   BUDGET=0.1 (a tenth of every training)"

install: $(STAMP) ## Install everything into .venv from the hash-locked requirements (GPU=1: CUDA lock)

# Everything is checked against the hashes of the lock, by uv where it runs (a fifth of pip's time), else by pip. The CPU
# lock leaves torch out: two hashes of one version in one file would let pip take the other build. Its CPU build comes
# from where pip looks already, else from PyTorch's own index; the registry's build (on Linux with 3 GB of CUDA) is last.
$(STAMP): requirements.lock requirements-cuda.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { \
	echo "$(PYTHON) is no Python 3.11, for which the packages are locked: make install PYTHON=/path/to/python3.11"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	@sed -n '/^uv==/,/[^\\]$$/p' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/pip install --quiet --require-hashes -r $(VENV)/uv.lock || echo "uv does not install here: pip will take longer"
ifeq ($(GPU),1)
	@$(INSTALL) --require-hashes -r requirements-cuda.lock
else
	@$(INSTALL) --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --no-deps $(TORCH)+cpu 2>/dev/null \
	|| $(BIN)/pip install --quiet --no-deps --retries 1 --timeout 20 --index-url $(TORCH_INDEX) $(TORCH)+cpu 2>/dev/null \
	|| $(BIN)/pip install --quiet $(TORCH)
endif
	$(BIN)/pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

book: $(STAMP) ## Run what is not up to date and build the book: build/_build/html/index.html
	@$(SNAKEMAKE) chapters; ran=$$?; \
	$(BIN)/radlib chapter book --cohort "$(COHORT)" --profile $(PROFILE) || exit; \
	if [ $$ran -ne 0 ]; then echo "The book is built, but not every chapter has run: see its status page"; fi; exit $$ran

pdf: book ## Build the book and print it: build/_build/pdf/book.pdf (needs Chromium)
	$(BIN)/radlib chapter pdf

chapters: $(STAMP) ## Run the chapters without building the book
	$(SNAKEMAKE) chapters

cohorts: $(STAMP) ## Make the simulated cohorts of the profile
	$(SNAKEMAKE) cohorts

chapter: $(STAMP) ## Run one chapter and what it reads: make chapter NAME=idh_tables
	@test -n "$(NAME)" || { echo "give the chapter: make chapter NAME=..."; $(BIN)/radlib chapter list; exit 2; }
	$(SNAKEMAKE) chapter_$(NAME)

paper-steps: export BUDGET = 0.00005
paper-steps: $(STAMP) ## Take about two steps of every training of the paper profile: shapes, losses, memory, cost
	$(MAKE) cohorts PROFILE=paper_steps
	$(BIN)/radlib study run --profile paper_steps $(NAME)
	$(BIN)/radlib study costs --profile paper_steps $(NAME)

notebooks: $(STAMP) ## Write the paired .ipynb of every chapter
	$(BIN)/radlib chapter sync

lab: notebooks ## Open JupyterLab
	env -u JUPYTER_PATH JUPYTER_PREFER_ENV_PATH=1 $(BIN)/jupyter lab --ServerApp.root_dir="$(CURDIR)" \
	--LabApp.default_url=/lab/tree/START.ipynb

test: $(STAMP) ## Run all tests, with RADLIB_DATA on real data too
	$(RUN_TESTS)

test-fast: $(STAMP) ## Run what takes seconds: no training, no other process, no real data, no browser
	$(RUN_TESTS) -m "not slow and not data and not browser"

lint: $(STAMP) ## ruff, mypy, and the arrows between the rooms
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

# UV_FIND_LINKS may name a folder with a CPU wheel of torch; without it the CPU lock is compiled with the CUDA build
# as the only one in sight and names its libraries too.
lock: $(STAMP) ## Compile both locks and environment.yml from pyproject.toml
	$(BIN)/python workflow/lock.py

clean: ## Remove what is built; keep runs/, .venv and notebooks
	rm -rf build book/chapters book/generated .snakemake
