# Every target sets up what it needs into .venv; `make` alone lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
UV ?= uv
HOST ?= http://127.0.0.1:8080

.DEFAULT_GOAL := help
.PHONY: help serve servers test long check lint fmt type cover lock bench beside roofs soak mutants metrics dashboards simulate sbom \
  proto audit dist locust model clean \
  hpa image scan validate push deploy canary rollback

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "make: PYTHON=$(PYTHON) is older than 3.11, which Tureen needs; try: make PYTHON=python3.12 ..." >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The lock holds the build backend too, so that nothing is fetched unpinned.
$(VENV)/.serve: requirements.lock pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.serve
	$(BIN)/python -m pip install --quiet --no-compile --require-hashes -r requirements-dev.lock
	@touch $@

serve: $(VENV)/.serve ## start the server on its defaults (demo model, http://127.0.0.1:8080); ARGS="--port 9000" adds flags
	$(BIN)/tureen serve $(ARGS)

servers: # nginx, wrk, Redis and Triton's client, for the tests
	@PYTHON=$(PYTHON) tests/install_servers.sh

# One at a time per core: half of a test's time is waiting for a process to start or to end.
TESTERS := $(shell n=$$(getconf _NPROCESSORS_ONLN); echo $$((n < 8 ? n : 8)))

test: $(VENV)/.dev servers ## run every test; a skipped one fails, those marked gpu excepted
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile -m "not long" $(ARGS)

long: $(VENV)/.dev servers ## run the tests that `make test` leaves out for their length; some ten minutes
	@PYTHON=$(PYTHON) tests/install_servers.sh long
	$(BIN)/python -m pytest -m long $(ARGS)

check: lint type ## lint and types

lint: $(VENV)/.dev ## ruff: rules and format
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

fmt: $(VENV)/.dev ## let ruff format and mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

type: $(VENV)/.dev ## mypy, strict
	$(BIN)/mypy

cover: $(VENV)/.dev servers ## tests with branch coverage, child processes included
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q $(ARGS)
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(VENV)/.dev ## compare Tureen with no server and with FastAPI, into docs/performance.md; ARGS=--quick is a first look
	$(BIN)/python -m benchmarks.compare $(ARGS)

# In an environment of its own: its pins are not ours.
beside: $(VENV)/.dev ## Tureen beside MLServer: the same tensors by gRPC and REST, for docs/protocols.md
	test -d .venvs/mlserver || $(PYTHON) -m venv .venvs/mlserver
	.venvs/mlserver/bin/python -m pip install --quiet -r benchmarks/mlserver-requirements.txt
	$(BIN)/python -m benchmarks.beside_mlserver $(ARGS)

roofs: $(VENV)/.dev ## the machine's ceiling without a server, and the share that the server keeps
	$(BIN)/python -m benchmarks.roofs $(ARGS)

dashboards: $(VENV)/.dev ## renew deploy/grafana/dashboards
	$(BIN)/python -m tests.dashboards

metrics: $(VENV)/.dev ## renew docs/metrics.md from the code
	$(BIN)/python -m tests.metrics_page

simulate: $(VENV)/.dev ## the scheduler against an oracle, in virtual time; writes docs/img/simulation.svg
	$(BIN)/python -m benchmarks.simulation $(ARGS)

hpa: $(VENV)/.dev ## the shipped autoscaler under changing traffic, in virtual time; writes docs/img/hpa.svg
	$(BIN)/python -m benchmarks.hpa

# In an environment of its own: 500 MB, and pins of its own.
.venvs/ray/.lock: deploy/ray/requirements.lock | $(BIN)/python
	$(PYTHON) -m venv --clear .venvs/ray
	.venvs/ray/bin/python -m pip install --quiet --require-hashes -r deploy/ray/requirements.lock
	cp deploy/ray/requirements.lock $@

soak: $(VENV)/.dev servers .venvs/ray/.lock ## an hour of faults and abuse: is every promise kept? ARGS="--only PHASE"; ARGS=--help lists them
	$(BIN)/python -m tests.soak $(ARGS)

mutants: $(VENV)/.dev ## change the code and see whether a test notices: one change in ten; ARGS="batcher.queue*" for some of your own
	$(BIN)/mutmut run $(or $(ARGS),'*__mutmut_*3') > mutants.log; $(BIN)/mutmut results

# In an environment of its own: code of newer tools does not load where Triton's client is.
proto: $(BIN)/python ## make server/web/rpc/inference_pb2.py of its .proto
	$(PYTHON) -m venv .venvs/proto
	.venvs/proto/bin/python -m pip install --quiet grpcio-tools==1.80.0
	.venvs/proto/bin/python -m grpc_tools.protoc -I. --python_out=. server/web/rpc/inference.proto

locust: $(VENV)/.dev ## Locust's web interface, aimed at HOST; ARGS="--headless -u 8 -t 30s" does without
	$(BIN)/locust -f benchmarks/locustfile.py --host $(HOST) $(ARGS)

# What the container images have: the extras of a server, and one of the two ONNX Runtimes.
IMAGE_EXTRAS := --extra jwt --extra redis --extra s3 --extra uvicorn
COMPILE := pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-header --quiet

model: ## EfficientNet-Lite0, trained on ImageNet, into build/models/lite0 (an environment of its own, 1.4 GB)
	test -d build/model-venv || $(PYTHON) -m venv build/model-venv
	build/model-venv/bin/python -m pip install --quiet -r benchmarks/lite0-requirements.txt
	build/model-venv/bin/python benchmarks/lite0.py build/models/lite0

lock: ## renew all lock files (needs uv); no index URL may stand in them
	$(UV) $(COMPILE) --upgrade --group build pyproject.toml -o requirements.lock
	$(UV) $(COMPILE) --upgrade --group build --group dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	$(UV) $(COMPILE) --group build $(IMAGE_EXTRAS) --override deploy/container/cpu.overrides -c requirements-dev.lock \
	  pyproject.toml deploy/container/cpu.in -o deploy/container/requirements-cpu.lock
	$(UV) $(COMPILE) --group build --override deploy/container/cpu.overrides -c requirements-dev.lock pyproject.toml \
	  deploy/container/cpu.in deploy/ray/requirements.in -o deploy/ray/requirements.lock
	$(UV) $(COMPILE) --group build --extra jwt --extra redis --extra lambda --override deploy/container/cpu.overrides \
	  -c requirements-dev.lock pyproject.toml deploy/container/cpu.in -o deploy/container/requirements-lambda.lock
	$(UV) $(COMPILE) --group build $(IMAGE_EXTRAS) --extra cuda -c requirements-dev.lock \
	  pyproject.toml -o deploy/container/requirements-cuda.lock

# In an environment of its own: the tool brings twenty packages that nothing else here needs.
sbom: $(BIN)/python ## list what is shipped, with hashes, as CycloneDX: sbom.json
	$(PYTHON) -m venv .sbom
	.sbom/bin/python -m pip install --quiet cyclonedx-bom==7.5.0
	.sbom/bin/cyclonedx-py requirements requirements.lock --pyproject pyproject.toml --of JSON -o sbom.json

audit: $(VENV)/.dev ## known vulnerabilities of what is locked, offline: ARGS=all.zip, an export of OSV for PyPI
	$(BIN)/python -m tests.audit $(ARGS)

dist: $(VENV)/.dev sbom ## build a release into dist/: wheel, sdist, sbom.json and SHA256SUMS, for a maintainer to sign
	rm -rf dist
	$(BIN)/python -m hatchling build -t wheel -t sdist -d dist
	cp sbom.json requirements.lock dist/
	cd dist && sha256sum * > SHA256SUMS

# ---- The steps of a pipeline (.github/workflows, .gitlab-ci.yml) ----

ENGINE ?= podman
IMAGE ?= localhost/tureen:dev
MODEL ?= server/demo/colourfulness
OVERLAY ?= deploy/kubernetes/overlays/cpu
PLAN ?= standard
URL ?= http://127.0.0.1:9091
export IMAGE NAME VERSION URL

image: ## build the CPU image; IMAGE=NAME:TAG, BASE=IMAGE@sha256:..., ENGINE=docker
	$(ENGINE) build -f deploy/container/Dockerfile $(if $(BASE),--build-arg BASE=$(BASE)) -t "$$IMAGE" $(ARGS) .

scan: $(VENV)/.dev ## known vulnerabilities of what is locked; OSV=all.zip or https://.../all.zip, an export of OSV for PyPI
	@test -n "$(OSV)" || { echo "make scan: OSV= must name an export of OSV for PyPI" >&2; exit 2; }
	@case "$(OSV)" in https://*) curl -fsSL --retry 3 -o osv.zip "$(OSV)";; *) cp "$(OSV)" osv.zip;; esac
	$(BIN)/python -m tests.audit osv.zip

validate: $(VENV)/.serve ## is MODEL fit to be released? ARGS="--against models/food/3 --latency 50ms"
	$(BIN)/tureen validate "$(MODEL)" $(ARGS)

push: image ## build and push IMAGE; REGISTRY_USER and REGISTRY_TOKEN log in first
	@test -z "$$REGISTRY_TOKEN" || \
	  printf %s "$$REGISTRY_TOKEN" | $(ENGINE) login -u "$$REGISTRY_USER" --password-stdin "$${IMAGE%%/*}"
	$(ENGINE) push "$$IMAGE"

deploy: ## apply OVERLAY with IMAGE to Kubernetes; the old pods come back if the new ones are not ready in 10 minutes
	kubectl apply -k $(OVERLAY)
	kubectl set image deployment/tureen tureen="$$IMAGE"
	kubectl rollout status deployment/tureen --timeout=10m || { kubectl rollout undo deployment/tureen; exit 1; }

# A key is passed on as a file that nobody else can read.
WITH_KEY = umask 077; key=$$(mktemp); trap 'rm -f "$$key"' EXIT; printf %s "$$KEY" >"$$key"; set -- --url "$$URL" $${KEY:+--key "$$key"}

canary: $(VENV)/.serve ## bring VERSION of the model NAME to traffic by PLAN; fails if the guards take it back; URL, KEY
	@$(WITH_KEY); $(BIN)/tureen models rollout "$$NAME" "$$VERSION" --plan "$(PLAN)" "$$@"

rollback: $(VENV)/.serve ## the rollout of the model NAME ends, and the old version answers all; URL, KEY
	@$(WITH_KEY); $(BIN)/tureen models rollout "$$NAME" --rollback "$$@"

clean: ## remove .venv and everything built
	rm -rf $(VENV) .venvs .sbom sbom.json osv.zip build dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis mutants mutants.log
