# `make lab` opens the notebooks, `make test` checks them; both set up what they need. `make help` lists the rest.
NOTEBOOKS := $(wildcard notebooks/[0-9]*.ipynb)
SOLUTIONS := $(wildcard exercises/*-solution.ipynb)
LANGUAGES := $(patsubst translations/%/README.po,%,$(wildcard translations/*/README.po))
# Which notebooks run as managed jobs; `make test` adds the solutions.
MANAGED = $(NOTEBOOKS)
# These train on AWS's instances wherever they run.
MANAGED_ONLY := $(addprefix notebooks/,08-managed-training.ipynb 11-tuning.ipynb 12-deployment.ipynb) exercises/08-solution.ipynb
# It tells where it runs; tests/studio says what it must tell in a Studio space.
TELLS_WHERE := notebooks/00-setup.ipynb

PYTHON := .venv/bin/python
DOCS := .venv-docs/bin/python
SANDBOX := $(PYTHON) -m sandbox
# The committed outputs are those of .venv, whatever `make matrix` has made; and nobody waits 120 s for a stopped job.
SERIES := SANDBOX_IMAGES=/dev/null SANDBOX_STOP_SECONDS=5
NBVAL := python -m pytest --nbval --nbval-cell-timeout=300 --nbval-sanitize-with tests/notebooks/sanitize.cfg -q
# Whole files side by side: much of a managed job's time is the SDK's waiting between two looks at its status.
PARALLEL := -n 4 --dist loadfile
# What a user has set for Python and IPython elsewhere is not meant for the series.
unexport PYTHONSAFEPATH PYTHONPATH PYTHONHOME VIRTUAL_ENV
export IPYTHONDIR := $(CURDIR)/.venv/ipython
ifneq "$(findstring :,$(CURDIR))" ""
$(error No Python environment can be in a folder with a colon in its path, which separates the folders in PATH: rename $(CURDIR))
endif
.PHONY: .venv .venv-v3 .venv-docs .slides help locks lab slides sheet site test everything lint unit managed local site-test matrix \
studio containers aws bench outputs editions image image-if-docker clean

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

# --- the environments, each made anew where it does not fit its lock; NEWEST=1 takes the newest versions instead ------
.venv .venv-docs .slides:
	@python3 tools/environments.py $@

.venv-v3: .venv
	@python3 tools/environments.py $@

locks:  ## write locks/: the newest versions that the ranges allow, on the Pythons of the series
	@python3 tools/environments.py locks

# --- a learner's and an instructor's --------------------------------------------------------------------------------
# Only notebook 10 needs .venv-v3, so nobody waits for it.
lab: .venv  ## open JupyterLab inside the sandbox, no AWS account needed
	@test -e .venv-v3/installed || echo "== .venv-v3, for notebook 10, is made meanwhile; how it goes is in .venv/later.txt"
	@test ! -e .git || echo "== What you run and change is saved in these files. 'git stash' brings the series back as it was."
	@nice $(MAKE) --no-print-directory .venv-v3 >.venv/later.txt 2>&1 & later=$$!; trap "kill $$later 2>/dev/null; true" EXIT; \
	SANDBOX_IMAGES="$${SANDBOX_IMAGES:-$$PWD/.matrix}" $(SANDBOX) jupyter lab --notebook-dir=. \
	--LabApp.default_url=/lab/tree/notebooks/01-quick-start.ipynb $(LAB_OPTIONS)

slides: .venv .slides  ## the slides to begin with, in every language: handouts/slides*.html, which need no network
	$(PYTHON) -m tools.slides

sheet: .venv  ## one sheet to print, in every language: handouts/sheet*.html, and .pdf where there is a Chromium
	$(PYTHON) -m tools.sheet

site: .venv-docs  ## the series as a web site, in docs/_build/pages, from what is committed
	$(DOCS) -m tools.website

# --- checks -----------------------------------------------------------------------------------------------------------
test: lint image-if-docker  ## lint, unit tests, and every notebook against its committed outputs
	@# The unit tests run alone, because their jobs in local mode and those of the notebooks would share one network of Docker's.
	@$(MAKE) --no-print-directory unit
	@echo "== notebooks, as managed jobs and in local mode side by side: some minutes"
	@$(MAKE) --no-print-directory --keep-going --output-sync --jobs=2 managed local MANAGED="$(NOTEBOOKS) $(SOLUTIONS)"

everything: test slides sheet site-test  ## what CI runs: test, handouts, the site, solutions in local mode, a clone in an odd folder
	@$(MAKE) --no-print-directory local NOTEBOOKS="$(SOLUTIONS)"
	$(PYTHON) -m pytest -q -m slow tests/test_odd_places.py

lint: .venv  ## the form of code and notebooks, the floors of the sandbox, what is made from what, the workshop's template
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	.venv/bin/lint-imports --no-logo
	.venv/bin/mypy
	$(PYTHON) -m tools.notebook_form --check $(NOTEBOOKS) $(SOLUTIONS) workshop/slides.ipynb
	$(PYTHON) -m cogapp --check --verbosity=1 --check-fail-msg="make editions writes it anew" notebooks/*.md docs/*.md workshop/*.md
	$(PYTHON) -m tools.exercises --check
	$(PYTHON) -m tools.editions check $(LANGUAGES)
	.venv/bin/cfn-lint workshop/workshop.yaml

unit: .venv-v3  ## the tests of all rooms; for one room: .venv/bin/python -m pytest tests/sandbox/tuning
	$(PYTHON) -m pytest -q $(PARALLEL) tests

# SANDBOX_POLICY=arn:aws:iam::aws:policy/AmazonSageMakerFullAccess make managed: with no more rights than AWS's own policy gives.
managed: .venv-v3
	@echo "== notebooks, as managed jobs in the sandbox"
	$(SERIES) LOCAL_MODE=0 $(SANDBOX) $(NBVAL) $(PARALLEL) $(MANAGED)

local: .venv-v3 image-if-docker
	@echo "== notebooks, in local mode"
	@if $(PYTHON) -m sandbox.local_mode.docker; then $(SERIES) $(SANDBOX) $(NBVAL) $(filter-out $(MANAGED_ONLY),$(NOTEBOOKS)); \
	else echo "== The notebooks did NOT run in local mode, for the reason above." >&2; test "$$CI" != true; fi

site-test: site  ## the site in a browser without a window: needs Chromium
	@$(DOCS) -m pytest --noconftest -q -m browser tests/docs/test_in_a_browser.py

matrix: .venv-v3  ## train.py on five versions of TensorFlow, the notebooks in the seed's image and on Studio's packages
	.venv/bin/nox $(addprefix --session ,$(SESSIONS))

studio: .venv-v3 image-if-docker  ## the notebooks in local mode, as in a Studio space with Docker
	@if $(PYTHON) -m sandbox.local_mode.docker; then \
	$(SERIES) $(SANDBOX) --studio $(NBVAL) $(filter-out $(MANAGED_ONLY) $(TELLS_WHERE),$(NOTEBOOKS)) && \
	$(PYTHON) -m pytest -q -m docker tests/studio/test_space_with_docker.py && \
	$(PYTHON) -m tools.tested_on "Local mode as in Studio" $(PYTHON) "notebooks 01 to 07, 09 and 10, in containers"; \
	else echo "== The notebooks did NOT run in Studio's local mode, for the reason above." >&2; test "$$CI" != true; fi

containers:  ## the image of the lab and the devcontainer, and the notebooks as managed jobs in both; needs Docker and npx
	@bash tools/containers.sh

aws: .venv-v3  ## the notebooks in your AWS account, against the same outputs: says what it costs and asks (YES=1: does not)
	$(PYTHON) -m tools.on_aws $(filter-out $(TELLS_WHERE),$(NOTEBOOKS))

bench: .venv image-if-docker  ## train.py against a plain recipe; what a job costs beyond its script; an endpoint; `make lab`
	$(PYTHON) -m tools.bench.train
	$(PYTHON) -m tools.bench.managed_jobs
	$(SANDBOX) $(PYTHON) -m tools.bench.endpoint
	$(PYTHON) -m tools.bench.lab

# --- what is made and committed, or built -----------------------------------------------------------------------------
outputs: .venv-v3  ## run every notebook as managed jobs, save its outputs, and write what they cost
	$(SERIES) LOCAL_MODE=0 $(SANDBOX) python -m tools.save_outputs $(NOTEBOOKS) $(SOLUTIONS)
	@$(MAKE) --no-print-directory editions

editions: .venv  ## the guide's tables, exercises from their solutions, and the other languages (LANGUAGES=de begins a new one)
	$(PYTHON) -m cogapp -r --verbosity=1 notebooks/*.md docs/*.md workshop/*.md
	$(PYTHON) -m tools.exercises
	$(PYTHON) -m tools.editions update $(LANGUAGES)
	$(PYTHON) -m tools.editions build $(LANGUAGES)

image: .venv  ## build the training image of local mode
	@echo "== image: building the training image of local mode"
	$(PYTHON) -m sandbox.local_mode.image

image-if-docker: .venv
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory image || echo "== image: not built" >&2; fi

clean:  ## remove the environments, the training image and every cache
	rm -rf handouts docs/_build .slides .matrix .nox .uv .venv .venv-v3 .venv-docs .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	@if docker info >/dev/null 2>&1; then docker images --quiet --filter label=sagemaker-tensorflow-series | sort -u | xargs -r docker image rm --force; fi
