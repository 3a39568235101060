# Sluice: `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory
# Images of Python set it; then each process that the tests start compiles all its libraries: Evidently's take 10 s.
unexport PYTHONDONTWRITEBYTECODE
# MLflow and Evidently tell their makers of their use otherwise.
export DO_NOT_TRACK := true

PYTHON ?= python3
# uv where it is, or where pip is about to put it.
UV := $(shell command -v uv || echo $(PYTHON) -m uv)
RUN := $(UV) run --frozen --all-extras
CLUSTER := $(RUN) python -m hack.cluster

##@ General

.PHONY: help
help: ## Show this list
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

.PHONY: uv
uv: ## Install uv with pip, if it is missing
	@$(UV) --version >/dev/null 2>&1 || $(PYTHON) -m pip install --quiet uv || $(PYTHON) -m pip install --quiet --break-system-packages uv

##@ Cluster

.PHONY: cluster down status images
cluster: uv ## Start a whole Kubernetes with KServe here, or what is missing of it (as root; the first time it builds all of it)
	@$(CLUSTER) up

down: uv ## Stop it and check that nothing of it is left
	@$(CLUSTER) down

status: uv ## What runs, and where to reach it
	@$(CLUSTER) status

images: uv ## Rebuild and import the images whose sources changed
	@$(CLUSTER) images

##@ Use

.PHONY: demo
demo: uv ## Six releases on a real cluster: good ones promoted, bad ones rolled back, one agreed by two people (about 8 min once built)
	@$(RUN) python -m hack.demo $(OPTIONS)

##@ Check

.PHONY: test lint unit component chart e2e
test: uv ## Everything, as CI runs it: lint, unit, component, chart, end to end (25 to 30 min once built, twice that from nothing)
	@RUN="$(RUN)" bash hack/test.sh lint component chart +unit e2e

lint unit component chart e2e: uv ## One layer of the tests
	@RUN="$(RUN)" bash hack/test.sh $@

.PHONY: soak
soak: uv ## What takes time on a cluster that is up: drift of what serves, told after the promotion (about 30 min)
	@$(RUN) python -m pytest -q -p no:randomly -m soak tests/e2e

.PHONY: format generate bench bench-gates
format: uv ## Format the code and mend what can be mended
	@$(RUN) ruff format . && $(RUN) ruff check --fix .

generate: uv ## Write crds/ and docs/reference/ from the typed models and the controls
	@$(RUN) python -m sluice.api crds/ --docs docs/reference/api.md
	@$(RUN) python -m sluice.catalogue docs/reference/controls.md

bench: uv ## Measure speed and size, and print medians and ratios; with a cluster up, also what a release costs requests
	@$(RUN) python -m bench.engine
	@$(RUN) python -m bench.collector
	@$(RUN) python -m bench.verdicts
	@$(RUN) python -m bench.governance
	@$(RUN) python -m bench.policies
	@if $(CLUSTER) status >/dev/null 2>&1; then $(RUN) python -m bench.traffic && $(RUN) python -m bench.shadow; \
	  else echo "bench.traffic and bench.shadow need the cluster, which is not up: make cluster"; fi

bench-gates: uv ## Count what drift gates take back: good models, and broken ones, on real rows (about 20 min)
	@$(RUN) python -m bench.gates
