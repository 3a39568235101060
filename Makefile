# Sluice: `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules --no-print-directory

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
cluster: uv ## Start a whole Kubernetes with KServe here, or what is missing of it (as root; first time 30 min, then 1)
	@$(CLUSTER) up

down: uv ## Stop it and check that nothing of it is left
	@$(CLUSTER) down

status: uv ## What runs, and where to reach it
	@$(CLUSTER) status

images: uv ## Rebuild and import the images whose sources changed
	@$(CLUSTER) images
