# Leadrail needs nothing but Python 3.11 or newer (PYTHON=... names one): every target installs what it uses.
SHELL := /bin/sh
.DEFAULT_GOAL := help
.SUFFIXES:
MAKEFLAGS += --no-builtin-rules

RUN := .venv/bin/python -m
LOCAL := .venv/bin/leadrail-local
# Two test processes at once; on two cores more only wait for each other.
WORKERS ?= 2
TESTS ?= tests

.PHONY: help
help: ## List the targets.
	@awk 'BEGIN { FS = ":.*## " } \
		/^##@ / { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' Makefile

##@ Use it
.PHONY: install
install: ## Install the locked packages into .venv (uv is fetched through pip if absent).
	@deploy/local/bootstrap.sh

.PHONY: demo
demo: install ## Send real payloads through all five services and show what became of each lead.
	@$(LOCAL) demo

.PHONY: up
up: install ## Start PostgreSQL, Kafka and the five services; Ctrl-C stops them.
	@$(LOCAL) up

.PHONY: down
down: install ## Stop what `make up` started; the data is kept.
	@$(LOCAL) down

.PHONY: status
status: install ## Show what runs and where it answers.
	@$(LOCAL) status

.PHONY: clean
clean: install ## Forget this checkout's data, logs and keys (`leadrail-local clean --downloads`: the downloads too).
	@$(LOCAL) clean

##@ Change it
.PHONY: test
test: install ## Run all tests on real PostgreSQL and real Kafka (TESTS=tests/unit: some; WORKERS=4: more at once).
	@PATH="$$(deploy/local/promtool.sh):$$PATH" LEADRAIL_PG_FSYNC=off $(RUN) pytest -n $(WORKERS) --dist loadscope $(TESTS)

.PHONY: check
check: lint types arch contracts-check ## Run every static check, in CI's order.

.PHONY: lint
lint: install ## Check style and format.
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .

.PHONY: types
types: install ## Check types.
	@$(RUN) mypy

.PHONY: arch
arch: install ## Check who may import whom, and the project's own rules.
	@.venv/bin/lint-imports
	@$(RUN) leadrail_tools.architecture

.PHONY: contracts
contracts: install ## Write the schemas, examples and API documents anew from the models.
	@$(RUN) leadrail_tools.contracts

.PHONY: contracts-check
contracts-check: install ## Fail when a committed contract differs from its model, or breaks its readers.
	@$(RUN) leadrail_tools.contracts --check

.PHONY: fmt
fmt: install ## Format and apply the safe fixes.
	@$(RUN) ruff check --fix .
	@$(RUN) ruff format .

.PHONY: bench
bench: install ## Measure leads per second and the milliseconds to assignment (ARGS="--rates 20,100,500").
	@$(LOCAL) bench $(ARGS)

.PHONY: chaos
chaos: install ## Kill, freeze and starve everything under load, and judge (SEED=7 KILLS=100 ARGS="--only kill"; ARGS=--help).
	@LEADRAIL_PG_FSYNC=off $(RUN) tests.chaos --seed "$(or $(SEED),1)" --kills "$(or $(KILLS),40)" $(ARGS)

.PHONY: bench-compare
bench-compare: install ## Show what changed between two reports (make bench-compare A=file B=file).
	@$(LOCAL) bench-compare "$(A)" "$(B)"

.PHONY: restore-drill
restore-drill: install ## Lose the database under traffic, restore it to an earlier instant, judge what is left.
	@$(LOCAL) restore-drill

.PHONY: promtool
promtool: ## Get promtool for the tests of the alert rules (Debian; unpacked into the cache, not installed).
	@deploy/local/promtool.sh
