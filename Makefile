# make help lists the targets. Everything is made inside the checkout.
SHELL := /bin/bash
.DEFAULT_GOAL := help
VENV := .venv
READY := $(VENV)/ready
RUN := . $(VENV)/bin/activate &&
OUT ?= results/demo
# pytest's arguments, e.g. make test TESTS='tests/unit -x'
TESTS ?=

# benchmarks/scale.py's options
SCALE ?=
# the benchmark's sizes and folder
SIZE ?= quarter half full
BENCHMARK ?= results/benchmark

.PHONY: help demo benchmark scale test test-slurm test-container lint format clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /  make \1|/p' Makefile | column -t -s '|'

$(READY): pyproject.toml jgo.toml jgo.lock.toml bin/set-up
	@bin/set-up

.PHONY: environment
environment: $(READY) ## set up .venv with wssamnet and Nextflow (every other target does it first)

demo: $(READY) ## the whole job on the embedded cohort: trains, registers, evaluates, prints the table
	@echo "[demo] nextflow run main.nf -profile demo --outdir $(OUT)"
	@echo "[demo] 16 simulated patients, 5 trainings, 7 methods; 5 to 10 minutes on two cores. How far a training is:"
	@echo "[demo]   tail -n 1 work/*/*/.command.log"
	@$(RUN) nextflow run main.nf -profile demo --outdir $(OUT) -resume

test: $(READY) ## every test, the real pipeline on a tiny cohort included
	@echo "[test] pytest $(TESTS)"
	@$(RUN) pytest -n 2 --dist loadfile $(TESTS)

test-slurm: $(READY) ## the pipeline on a real Slurm, with the faults of clusters; as root
	@echo "[test-slurm] pytest tests/slurm $(TESTS)"
	@$(RUN) python tests/slurm/cluster.py install && pytest -rs tests/slurm $(TESTS)

test-container: $(READY) ## build the image without a registry and run the pipeline in it; as root, 25 GB, about half an hour
	@echo "[test-container] pytest tests/containers $(TESTS)"
	@$(RUN) python tests/containers/image.py install && pytest -rs tests/containers $(TESTS); \
		status=$$?; python tests/containers/image.py remove; exit $$status

scale: $(READY) ## what 100, 300 and 1,000 cases cost the pipeline itself; SCALE="--executor local slurm" as root
	@echo "[scale] python benchmarks/scale.py $(SCALE)"
	@$(RUN) python benchmarks/scale.py $(SCALE)

benchmark: $(READY) ## speed beside the peers; SIZE="quarter half full" takes an hour on two cores, "quarter" minutes
	@echo "[benchmark] sizes $(SIZE), into $(BENCHMARK)"
	@mkdir -p $(BENCHMARK)
	@$(RUN) for what in kernels networks pairs; do only=; [ $$what = pairs ] && only='--only pair'; \
		python benchmarks/$$what.py --size $(SIZE) $$only --out $(BENCHMARK)/$$what.csv || exit 1; done
	@$(RUN) python benchmarks/pairs.py --size quarter --only cases_in_a_task --out $(BENCHMARK)/cases.csv
	@$(RUN) python benchmarks/table.py $(BENCHMARK)

lint: $(READY) ## ruff, mypy and nextflow lint
	@$(RUN) ruff check . && ruff format --check . && mypy && nextflow lint main.nf nextflow.config modules conf

format: $(READY) ## rewrite the Python files in the house style
	@$(RUN) ruff check --fix . && ruff format .

clean: ## remove the environment, results and caches
	rm -rf $(VENV) .cache results work .nextflow .nextflow.log* .pytest_cache .mypy_cache .ruff_cache \
		.hypothesis build dist *.egg-info
