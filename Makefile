# The commands of GridLab; `make help` lists them. Needs make, a POSIX shell and Python 3.11 or newer;
# everything else goes into .venv, which is re-used until pyproject.toml or constraints.txt changes.
.POSIX:
.SUFFIXES:

PYTHON = python3
VENV = .venv
# Options for the command, such as: make up ARGS='--headless --port 5001'
ARGS =
# How many fault schedules `make sim` and `make campaign` play.
SCHEDULES = 20000
CAMPAIGN = 200000
# Days of three symbols that `make campaign` plays through backtest, replay and twin, of a folder with
# a SYMBOL-1m.parquet of each (BTCUSDT, ETHUSDT, SOLUSDT); the bundled recordings have eight.
PARITY_DATA =
PARITY_DAYS = 8
# `make bench` sets up the peers in environments of their own, below .bench/; `make bench PEERS=` does not.
PEERS = --peers
# How many generated requests `make fuzz` sends to each operation of the API.
FUZZ = 10000
# How many pytest workers run at once.
JOBS = 2

RUN = $(VENV)/bin/python
TYPED = gridlab/domain gridlab/grid gridlab/store gridlab/exchange gridlab/app gridlab/api
NOTEBOOKS = $(RUN) -m pytest --nbval-lax --nbval-current-env --nbval-cell-timeout=120 notebooks

help:
	@echo 'make up        start the workbench on recorded prices (ARGS for options of gridlab up)'
	@echo 'make test      everything: tests, then the notebooks twice'
	@echo 'make check     lint, format, types and the fast tests, about a minute'
	@echo 'make bench     speed and memory, beside the peers it can install (PEERS= for none)'
	@echo 'make sim       the fault simulation, SCHEDULES=$(SCHEDULES)'
	@echo 'make campaign  the long forms: faults (CAMPAIGN=$(CAMPAIGN)), twin, parity, kernels'
	@echo 'make fuzz      generated requests to every operation of the API, FUZZ=$(FUZZ) each'
	@echo 'make clean     remove .venv and all caches; your data directory stays'

up: install-up
	@exec $(VENV)/bin/gridlab up $(ARGS)

test: install-all
	$(RUN) -m pytest -n $(JOBS) --dist loadscope tests
	$(NOTEBOOKS)
	$(NOTEBOOKS)

check: install-all
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy --strict $(TYPED)
	GRIDLAB_FAST=1 $(RUN) -m pytest -n $(JOBS) --dist loadscope \
	    -m 'not slow and not browser' tests/unit

bench: install-all
	@for file in benchmarks/bench_*.py; do \
	    case $$file in *research*) more='$(PEERS)' ;; *) more= ;; esac; \
	    echo "== $$file"; $(RUN) "$$file" $$more $(ARGS) || exit 1; \
	done

sim: install-all
	GRIDLAB_SIM_SCHEDULES=$(SCHEDULES) $(RUN) -m pytest -n $(JOBS) tests/simulation

campaign: install-all
	GRIDLAB_SIM_SCHEDULES=$(CAMPAIGN) $(RUN) -m pytest -n $(JOBS) --timeout 0 tests/simulation
	GRIDLAB_TWIN_SECONDS=600 $(RUN) -m pytest --timeout 0 tests/twin/test_trading_long.py
	GRIDLAB_PARITY_DATA=$(PARITY_DATA) GRIDLAB_PARITY_DAYS=$(PARITY_DAYS) \
	    $(RUN) -m pytest tests/twin/test_parity.py
	GRIDLAB_KERNEL_CASES=3000 GRIDLAB_SWEEP_CASES=500 GRIDLAB_BRACKET_CASES=2000 \
	    GRIDLAB_THEORY_MARKETS=500 $(RUN) -m pytest -n $(JOBS) --timeout 0 \
	    tests/properties/test_kernel_differential.py tests/properties/test_kernel_partial.py \
	    tests/properties/test_kernel_futures.py tests/properties/test_sweep_rows.py \
	    tests/properties/test_bracket_paths.py tests/unit/test_theory.py

fuzz: install-all
	GRIDLAB_FUZZ_EXAMPLES=$(FUZZ) $(RUN) -m pytest -n $(JOBS) --timeout 0 tests/api/test_fuzz.py

clean:
	rm -rf $(VENV) .bench build dist gridlab.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# A stamp in .venv holds the checksum of what was installed; `all` includes what `up` needs.
SUM = cat pyproject.toml constraints.txt | cksum
INSTALL = install() { \
	    sum=$$($(SUM)); \
	    for done in "$$@"; do \
	        if [ "$$(cat $(VENV)/.installed-$$done 2>/dev/null)" = "$$sum" ]; then return 0; fi; \
	    done; \
	    echo "Installing gridlab[$$1] into $(VENV) (only when the dependencies change) ..."; \
	    $(RUN) -m pip install --quiet --disable-pip-version-check \
	        -c constraints.txt -e ".[$$1]" || return 1; \
	    echo "$$sum" > $(VENV)/.installed-$$1; \
	}; install

install-up: environment
	@$(INSTALL) notebooks,sentiment all

install-all: environment
	@$(INSTALL) all

environment:
	@if [ ! -x $(RUN) ]; then \
	    command -v $(PYTHON) >/dev/null || { \
	        echo 'There is no $(PYTHON). Install Python 3.11 or newer, or name one:' \
	            'make up PYTHON=/path/to/python' >&2; exit 1; }; \
	    $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	        echo "$$($(PYTHON) --version 2>&1) is too old: GridLab needs Python 3.11 or newer." \
	            'Install one, or name it: make up PYTHON=python3.11' >&2; exit 1; }; \
	    $(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	        echo 'This $(PYTHON) cannot create a virtual environment: ensurepip is missing. On' \
	            'Debian and Ubuntu: apt-get install python3-venv. Then run make again.' >&2; \
	        exit 1; }; \
	    $(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }; \
	fi
	@$(RUN) -c 'import pip' 2>/dev/null || { \
	    echo '$(VENV) is damaged (its Python or its pip is gone). Run: make clean' >&2; exit 1; }

.PHONY: help up test check bench sim campaign fuzz clean environment install-up install-all
