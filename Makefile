# One word does it: make lab, make report, make test. Each sets up .venv first, where it is missing or outdated.
# Options go through ARGS, for example: make report ARGS="--dataset embedded --epochs 3"
# Needs Python 3.11 to 3.13 with its venv module, and nothing else. Another Python: make report PYTHON=python3.12

ARGS ?=
VENV := .venv
# Windows has other names for the two Pythons; there make is run in Git Bash.
ifeq ($(OS),Windows_NT)
PYTHON ?= python
RUN := $(VENV)/Scripts/python.exe
else
PYTHON ?= python3
RUN := $(VENV)/bin/python
endif

.PHONY: help lab report test quick test-all lint notebooks lock clean venv

help:
	@echo 'make lab        open JupyterLab at lesson 01'
	@echo 'make report     run the lessons and make report/index.html'
	@echo 'make test       check everything that can be checked on this machine'
	@echo 'make quick      the part of it that takes less than two minutes'
	@echo 'make test-all   everything, with what takes minutes for little and CI runs weekly'
	@echo 'make lint       format the code and check it with ruff'
	@echo 'make notebooks  rewrite the stored outputs of the lessons from a real run on MNIST'
	@echo 'make lock       rewrite requirements.txt from pyproject.toml (needs uv)'
	@echo 'make clean      remove .venv, the report and caches'

lab: venv
	@$(RUN) -m digits_tools lab $(ARGS)

report: venv
	@$(RUN) -m digits_tools report $(ARGS)

# What is compared depends on whether MNIST is here: pytest's header says it (conftest.py).
test: venv
	@$(RUN) -m ruff format --check --quiet . && $(RUN) -m ruff check --quiet .
	@$(RUN) -m pytest -m 'not weekly' $(ARGS)

quick: venv
	@$(RUN) -m pytest -m 'not slow and not weekly' $(ARGS)

test-all: venv
	@$(RUN) -m pytest $(ARGS)

lint: venv
	@$(RUN) -m ruff format . && $(RUN) -m ruff check --fix .

notebooks: venv
	@$(RUN) -m digits_tools refresh $(ARGS)

# The stamp holds a checksum of what .venv was made from, and of the folder: a moved .venv points to where it was.
# It is written last, so that a set-up that was interrupted is taken up again.
venv:
	@wanted=`{ cat requirements.txt pyproject.toml; pwd; } | cksum`; \
	if [ -x $(RUN) ] && [ "$$wanted" = "`cat $(VENV)/stamp 2>/dev/null`" ]; then exit 0; fi; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null || { \
	  echo "$(PYTHON) is `$(PYTHON) --version 2>&1 || true`, but the lessons need Python 3.11 to 3.13: install one and name it, as in make PYTHON=python3.12 report." >&2; exit 1; }; \
	$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) lacks its venv module: install it (Debian and Ubuntu: apt install python3-venv) and run this again." >&2; exit 1; }; \
	echo "Setting up .venv: a few minutes and about 2.5 GB the first time."; \
	rm -f $(VENV)/stamp; \
	$(RUN) -c 'import sys, pip; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null \
	  || $(PYTHON) -m venv --clear $(VENV) || exit 1; \
	$(RUN) -m pip install --disable-pip-version-check --no-input -r requirements.txt || { \
	  echo "The packages could not be installed (see above): check the network and run this again." >&2; exit 1; }; \
	echo "$$wanted" > $(VENV)/stamp

lock:
	@command -v uv >/dev/null || { echo "uv is not installed: get it with pip install uv and run this again." >&2; exit 1; }
	@uv pip compile --universal --python-version 3.11 requirements.in -o requirements.txt $(ARGS)

# A folder named report that no report made, or learners' artifacts, are not ours to remove.
clean:
	@rm -rf $(VENV) .pytest_cache .ruff_cache build *.egg-info
	@find . -name __pycache__ -prune -exec rm -rf {} +
	@if [ -f report/.digits-report ]; then rm -rf report; fi
