# Two commands on a fresh machine: make demo, make test.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := demo-output
CT := examples/data/head_neck_ct.nii.gz

.PHONY: help demo demo-dicom test test-slow test-services test-e2e lint format clean docs release-check web serve-demo fuzz kills

help:  ## show this help
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/demo-installed  ## install into .venv and segment the CT in examples/data
	@mkdir -p $(DEMO)
	$(BIN)/openvista segment $(CT) -o $(DEMO)/ --table --preview
	@mv $(DEMO)/head_neck_ct_seg.csv $(DEMO)/table.csv
	@mv $(DEMO)/head_neck_ct_seg.png $(DEMO)/preview.png
	@echo "Look at $(DEMO)/preview.png; the label map is $(DEMO)/head_neck_ct_seg.nii.gz"

demo-dicom: $(VENV)/dicom-installed  ## the same with the CT as a DICOM series: DICOM segmentation and picture
	$(BIN)/python examples/make_dicom_series.py $(CT) $(DEMO)/series
	$(BIN)/openvista segment $(DEMO)/series -o $(DEMO)/ --format dicom-seg --preview
	@command -v dciodvfy >/dev/null || (apt-get update && apt-get install -y dicom3tools)
	dciodvfy $(DEMO)/series_seg.dcm
	@echo "Look at $(DEMO)/series_seg.png; the DICOM segmentation is $(DEMO)/series_seg.dcm"

test: $(VENV)/test-installed  ## install what the tests need and run them
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile

test-slow: $(VENV)/test-installed  ## run what takes long: deaths of runs, lines of docs/moving-over.md, damaged files, clicks at 128^3
	OMP_NUM_THREADS=1 OPENVISTA_SLOW=1 $(BIN)/python -m pytest -q -n auto --dist loadfile -m slow
	OMP_NUM_THREADS=2 OPENVISTA_SLOW=1 $(BIN)/python -m pytest -q tests/test_moving_over.py

test-services: $(VENV)/services-installed  ## test against a PACS, DICOM validators, nginx, then the viewer in Chromium (apt installs what is missing)
	tests/services/install-debian-packages
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n auto --dist loadfile tests/services
	# one after the other: without a graphics card a browser draws with all cores
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/e2e --ignore tests/e2e/test_jupyterlab.py

serve-demo: $(VENV)/serve-installed  ## serve the viewer with the CT in examples/data
	@echo "The CT of the example: add #open=$(abspath $(CT)) to the address below"
	$(BIN)/openvista serve --root examples/data

docs: $(VENV)/docs-installed  ## build the site into build/site, strictly: every link leads somewhere; nothing is fetched
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "Open build/site/index.html; its search needs a server: $(BIN)/python -m http.server -d build/site"

web:  ## build the viewer from the lockfile (needs node >= 20.19); the result is committed
	cd web && npm ci --no-audit --no-fund && npm run build

test-e2e: $(VENV)/e2e-installed  ## test the viewer and JupyterLab in Chromium (apt installs it where missing), the API with random requests
	@command -v chromium chromium-browser google-chrome >/dev/null || (apt-get update && apt-get install -y chromium)
	OMP_NUM_THREADS=1 OPENVISTA_E2E=1 $(BIN)/python -m pytest -q tests/e2e tests/serve/test_openapi.py

FUZZ_CASES ?= 2000
FUZZ_SEED ?= 0

fuzz: $(VENV)/test-installed  ## read two thousand damaged files of every kind, each in a process with limits
	OMP_NUM_THREADS=1 PYTHONPATH=tests $(BIN)/python tests/fuzz/run.py --cases $(FUZZ_CASES) --seed $(FUZZ_SEED)

KILLS ?= 100

kills: $(VENV)/test-installed  ## kill -9 and Ctrl-C segment, click, finetune, evaluate and serve, 100 times each
	OMP_NUM_THREADS=1 PYTHONPATH=tests:tests/serve $(BIN)/python tests/fuzz/kills.py --kills $(KILLS)
	OMP_NUM_THREADS=1 PYTHONPATH=tests:tests/serve $(BIN)/python tests/fuzz/serve_kills.py --kills $(KILLS)

lint: $(VENV)/dev-installed  ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(VENV)/dev-installed  ## mend style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

release-check: $(VENV)/release-installed  ## build, install into clean environments, run there; licences and SBOM in dist/
	$(BIN)/python packaging/release_check.py

clean:  ## remove what was installed and made
	rm -rf $(VENV) $(DEMO) build dist

$(BIN)/python:
	$(PYTHON) -m venv $(VENV)

# torch first and alone: a machine without GPU gets the pinned build before anything else can ask for another
$(VENV)/torch-installed: constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet -c constraints.txt torch
	@touch $@

# an extra of pyproject.toml by its name, or those that EXTRAS gives a name here
EXTRAS_demo := report
EXTRAS_dicom := report,dicom

$(VENV)/%-installed: pyproject.toml $(VENV)/torch-installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[$(or $(EXTRAS_$*),$*)]'
	@touch $@

$(VENV)/services-installed: pyproject.toml integrations/napari-openvista/pyproject.toml $(VENV)/torch-installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e '.[services]'
	$(BIN)/python -m pip install --quiet --target $(VENV)/ants --upgrade antspyx==0.6.3  # apart: it wants an older numpy
	if $(BIN)/python -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then \
	    $(BIN)/python -m pip install --quiet -c constraints.txt -e 'integrations/napari-openvista[test]'; fi
	@touch $@
