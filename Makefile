# Everything is set up, run and tested from here: `make help`.
#
# Set-up is kept in .venv. Each step leaves a stamp named after what it was made from, so a step is
# repeated exactly when its input changes, whatever the clocks say; an interrupted step leaves none.

SHELL := /bin/sh
.DEFAULT_GOAL := help
.NOTPARALLEL:
MAKEFLAGS += --no-print-directory

# What you may set on the command line or in the environment
PYTHON ?= python3.11
PROMPT ?= a red apple on a blue plate
# an index of your own for builds of torch (CPU, or one CUDA version); empty: pip's usual one
TORCH_INDEX ?=
TORCH_VERSION ?= 2.13.0
# tests at a time, and which
JOBS ?= $(shell getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2)
TESTS ?= tests
# make lock UPGRADE=1 lets go of the old pins
UPGRADE ?=

venv := .venv
python := $(venv)/bin/python
verso := $(venv)/bin/verso
pip := $(python) -m pip install --quiet --no-input --no-compile --disable-pip-version-check --progress-bar off
locked := --no-deps --only-binary :all: --require-hashes

digest = $(shell { printf '%s ' $(1); cat $(2) /dev/null; } 2>/dev/null | cksum | tr -d ' ')
stamps := $(venv)/stamps
made_venv := $(stamps)/venv
made_libraries := $(stamps)/libraries-$(call digest,,requirements.lock)
# with no index named, whatever build of this version is there will do
made_torch := $(or $(if $(TORCH_INDEX),,$(firstword $(wildcard $(stamps)/torch-$(TORCH_VERSION)-*))), \
  $(stamps)/torch-$(TORCH_VERSION)-$(call digest,'$(TORCH_INDEX)',))
made_project := $(stamps)/project-$(call digest,'$(CURDIR)',pyproject.toml)
made_tools := $(stamps)/tools-$(call digest,,requirements-dev.lock)

# a .venv whose Python has gone (a system upgrade) is set up anew
$(if $(wildcard $(python)),,$(shell rm -rf $(stamps)))

export PROMPT
# waiting threads sleep instead of spinning: several test processes share the cores
quiet_threads := OMP_WAIT_POLICY=passive
pytest := $(quiet_threads) $(python) -m pytest -n $(JOBS)

.PHONY: help demo test serve worker lint crash format lock notices libraries install install-dev compile clean

help: ## this list
	@echo "Verso: pictures on request for Discord and Slack, with a record of who asked."
	@echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1 \2/p' Makefile | \
	  while read -r make target what; do printf '  make %-12s %s\n' "$$target" "$$what"; done

# every command that opens the database brings it to this version's schema first
demo: install ## set up and draw one picture: make demo PROMPT="..."
	@$(verso) imagine --accept-terms -- "$$PROMPT"

serve: install ## connect to Discord and Slack with the tokens of .env, and draw
	@exec $(verso) serve

worker: install ## draw for other processes on the same database
	@exec $(verso) worker

test: install-dev ## set up and run the tests
	@$(pytest) --dist worksteal -m "not slow" $(TESTS)

crash: install-dev ## the long tests: processes killed at random moments
	@$(pytest) --dist worksteal -m slow $(TESTS)

lint: install-dev ## style, types, architecture, lock and licenses
	@$(python) -m ruff check .
	@$(python) -m ruff format --check .
	@$(python) -m mypy
	@$(venv)/bin/lint-imports --no-logo
	@$(python) -m tools.lock --torch '$(TORCH_VERSION)' --check
	@$(python) -m tools.licenses --check

format: install-dev ## let ruff tidy the code
	@$(python) -m ruff check --fix .
	@$(python) -m ruff format .

lock: $(made_venv) ## pin the dependencies anew: make lock UPGRADE=1 takes the newest
	@$(python) -m venv build/lock
	@build/lock/bin/python -m pip install --quiet --disable-pip-version-check 'pip-tools>=7.5,<8' packaging
	@PIP_DISABLE_PIP_VERSION_CHECK=1 build/lock/bin/python -m tools.lock --torch '$(TORCH_VERSION)' $(if $(UPGRADE),--upgrade)

notices: install ## write THIRD-PARTY-NOTICES.md anew
	@$(python) -m tools.licenses

libraries: $(made_libraries) $(made_torch) ## only what Verso needs from others

install: libraries $(made_project) ## what demo and serve need
	@:

install-dev: install $(made_tools) ## what test and lint need

compile: install ## byte-compile everything, for images whose file system is read-only
	@$(python) -m compileall -q -j 0 attribution bot generation migrations moderation
	@# packages carry templates that are no valid Python
	@$(python) -m compileall -q -j 0 $(venv)/lib >/dev/null 2>&1 || true

clean: ## remove what was built; never your data
	rm -rf $(venv) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(made_venv):
	@if $(python) -c 'import pip, sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then \
	  mkdir -p $(stamps); touch $@; exit 0; \
	fi; \
	set -e; found=; \
	for candidate in "$(PYTHON)" $(if $(filter file,$(origin PYTHON)),python3 python); do \
	  if "$$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' >/dev/null 2>&1; then \
	    found=$$candidate; break; \
	  fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "Verso needs Python 3.11, and '$(PYTHON)' is not one. Name it: make PYTHON=/path/to/python3.11 ..." >&2; \
	  exit 1; \
	fi; \
	if ! "$$found" -c 'import venv, ensurepip' >/dev/null 2>&1; then \
	  echo "This Python cannot make virtual environments (on Debian and Ubuntu: apt install python3.11-venv)." >&2; \
	  exit 1; \
	fi; \
	echo "Setting up Verso in $(venv): once, a few minutes."; \
	"$$found" -m venv --clear $(venv); \
	mkdir -p $(stamps); touch $@

$(made_libraries): | $(made_venv)
	@echo "  libraries: $$(grep -c == requirements.lock) packages, each checked against its pinned hash"
	@$(pip) $(locked) -r requirements.lock
	@rm -f $(stamps)/libraries-* $(stamps)/tools-*; touch $@

$(made_torch): | $(made_libraries)
	@echo "  torch $(TORCH_VERSION)$(if $(TORCH_INDEX), from $(TORCH_INDEX))"
	@$(if $(TORCH_INDEX),$(python) -m pip uninstall --quiet --yes torch >/dev/null 2>&1 || true)
	@$(pip) $(if $(TORCH_INDEX),--index-url '$(TORCH_INDEX)') --only-binary :all: 'torch==$(TORCH_VERSION)'
	@rm -f $(stamps)/torch-*; touch $@

$(made_project): | $(made_libraries)
	@$(pip) --no-deps --no-build-isolation --editable .
	@rm -f $(stamps)/project-*; touch $@

$(made_tools): | $(made_libraries)
	@echo "  test tools: $$(grep -c == requirements-dev.lock) packages"
	@$(pip) $(locked) -r requirements-dev.lock
	@rm -f $(stamps)/tools-*; touch $@
