# Everything a person types. `make help` lists it.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/hubwright
# The environment belongs to the machine, not to the clone: a fresh clone with the same lock is warm.
VENV := $(CACHE)/venv-$(shell { cat requirements.txt; python3 --version; } | sha256sum | cut -c1-16)
PYTHON := $(VENV)/bin/python

# Only what is given to make itself counts: a KUBECONFIG in the shell must not turn the demo on a real cluster.
given = $(if $(filter command line,$(origin $(1))),--$(2) "$($(1))")

.PHONY: help demo test bench faults unit lint up down status lock machine

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

demo: $(if $(call given,KUBECONFIG,kubeconfig),,machine) $(VENV)/complete ## a hub from nothing; KUBECONFIG=… PROFILE=… for a cluster of your own, CHART=… for another chart
	@$(PYTHON) -m deployments.demo $(call given,KUBECONFIG,kubeconfig) $(call given,PROFILE,profile) $(call given,CHART,chart)

test: machine lint ## every tier of the tests, the last on the sandbox
	@$(PYTHON) -m pytest tests/unit tests/contract
	@$(PYTHON) -m deployments.sandbox up
	@$(PYTHON) -m pytest tests/flows tests/sandbox

bench: up ## Hubwright beside the plain helm command: a table, and build/bench.json
	@$(PYTHON) -m tests.bench

faults: up ## what happens when something breaks: a table, and build/faults.json
	@$(PYTHON) -m tests.faults

unit: $(VENV)/complete ## the fast tests
	@$(PYTHON) -m pytest -q tests/unit

lint: $(VENV)/complete ## ruff, basedpyright, import-linter
	@$(VENV)/bin/ruff check --quiet .
	@$(VENV)/bin/ruff format --quiet --check .
	@$(VENV)/bin/basedpyright --pythonpath $(PYTHON) --level error
	@mkdir -p build
	@$(VENV)/bin/lint-imports --no-cache > build/imports.log 2>&1 || { cat build/imports.log; false; }

up: machine $(VENV)/complete ## start the sandbox: a real cluster on this machine
	@$(PYTHON) -m deployments.sandbox up

down: $(VENV)/complete ## stop the sandbox; what the cluster holds stays in .sandbox
	@$(PYTHON) -m deployments.sandbox down

status: $(VENV)/complete ## health and address of each part of the sandbox
	@$(PYTHON) -m deployments.sandbox status

lock: ## resolve the Python packages anew into requirements.txt (needs uv)
	uv pip compile --upgrade --generate-hashes --no-emit-index-url --no-header --universal --python-version 3.11 \
	  --all-extras pyproject.toml --output-file requirements.txt
	uv pip compile --upgrade --generate-hashes --no-emit-index-url --no-header --python-version 3.11.2 \
	  --python-platform linux pyproject.toml image/flows/requirements.in --constraint requirements.txt \
	  --output-file image/flows/requirements.txt

# Says in one sentence what is missing, before anything is installed.
machine:
	@python3 -m deployments.sandbox.machine

# The lock has everything: with its dependencies, pip would resolve extras anew, and not find them in it.
$(VENV)/complete: requirements.txt
	@test -e $@ || { echo "Python packages into $(VENV)"; rm -rf $(VENV); \
	  python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed."; exit 3; }; \
	  python3 -m venv $(VENV) && $(VENV)/bin/pip install --quiet --no-deps --require-hashes --requirement requirements.txt; }
	@touch $@
