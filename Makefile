# `make lab` opens the notebooks, `make test` checks them; both set up what they need. `make help` lists the rest.
PYTHON := .venv/bin/python
SANDBOX := $(PYTHON) -m sandbox
NOTEBOOKS := $(wildcard notebooks/*.ipynb)
SOLUTIONS := $(wildcard exercises/*-solution.ipynb)
# Which run as managed jobs: with the solutions in `make test`.
MANAGED = $(NOTEBOOKS)
# Folders of the editions in other languages.
LANGUAGES := $(patsubst %/po/README.po,%,$(wildcard */po/README.po))
PYTHON_V3 := .venv-v3/bin/python
# They train on AWS's instances wherever they run.
MANAGED_ONLY := $(addprefix notebooks/,08-managed-training.ipynb 11-tuning.ipynb 12-deployment.ipynb) exercises/08-solution.ipynb
# It tells where it runs: tests/matrix_studio.py says what it must tell in Studio.
TELLS_WHERE := notebooks/00-setup.ipynb
# Their outputs are those of this environment, whatever `make matrix` has made; and nobody waits 120 s for a stopped job.
SERIES := SANDBOX_IMAGES=/dev/null SANDBOX_STOP_SECONDS=5
# Jobs run in the environment that their image names.
IN_IMAGES = SANDBOX_IMAGES="$$PWD/.matrix" SANDBOX_STOP_SECONDS=5
NBVAL := python -m pytest --nbval --nbval-cell-timeout=300 --nbval-sanitize-with tests/sanitize.cfg -p no:cacheprovider -q
# Whole files side by side: much of a managed job's time is the SDK's waiting between two looks at its status.
PARALLEL := -n 4 --dist loadfile
RUFF := $(PYTHON) -m ruff
# SDK 3 needs 3.11, and TensorFlow 2.21 has no wheel for 3.14. Where the machine has none of these, uv fetches one.
SYSTEM_PYTHON ?= >=3.11,<3.14
# It installs everything: https://docs.astral.sh/uv. Where the machine has none, it gets one of its own.
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)
# sagemaker-training compiles one small C file, for MPI alone, which nothing here uses: no compiler is needed.
export CC := true
# What a user has set for Python and IPython elsewhere is not meant for the series.
unexport PYTHONSAFEPATH PYTHONPATH PYTHONHOME VIRTUAL_ENV
export IPYTHONDIR := $(CURDIR)/.venv/ipython
ifneq "$(findstring :,$(CURDIR))" ""
$(error No Python environment can be in a folder with a colon in its path, which separates the folders in PATH: rename $(CURDIR))
endif
TENSORFLOW := $(if $(filter x86_64,$(shell uname -m)),tensorflow-cpu,tensorflow)
# The image of sandbox/local_mode/Dockerfile carries it.
LABEL := sagemaker-tensorflow-series

.PHONY: help lab locks test everything lint editions slides sheet unit managed local studio matrix aws bench containers image image-if-docker outputs \
clean site site-test

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST)

# AWS's container code.
CONTAINER := sandbox/machine/container.txt
# Python reads each .pth file of an environment when it starts: https://docs.python.org/3/library/site.html
FEWER_COLLECTIONS := sandbox/machine/fewer_collections.py
# Every package of an environment with its version, for all platforms. `make locks` writes them; NEWEST=1 installs what
# the ranges in requirements*.txt allow today instead.
LOCK := $(if $(NEWEST),tests/requirements.txt,tests/locks/requirements.txt)
LOCK_V3 := $(if $(NEWEST),requirements-v3.txt,tests/locks/requirements-v3.txt)
LOCK_SITE := $(if $(NEWEST),site/requirements.txt,tests/locks/requirements-site.txt)
INSTALL := $(UV) pip install --quiet --python

# An environment names its own place: one that came with a moved or copied clone is made anew.
FROM := $(CURDIR) $(LOCK)
ifneq "$(shell cat .venv/installed 2>/dev/null)" "$(FROM)"
$(shell rm -f .venv/installed .venv-v3/installed .venv-site/installed)
endif

.uv/bin/uv:
	@echo "== .uv: installing uv"
	@python3 -m pip install --quiet --target .uv 'uv>=0.9,<1' 2>/dev/null || python3 -m venv --clear .uv || { echo "python3-venv is \
	missing: apt-get install python3-venv; or install uv: https://docs.astral.sh/uv/getting-started/installation" >&2; exit 1; }
	@test -x $@ || .uv/bin/python -m pip install --quiet 'uv>=0.9,<1'

.venv/installed: $(LOCK) $(CONTAINER) $(FEWER_COLLECTIONS) studio/jupyterlab.json | $(UV)
	@echo "== .venv: installing $(LOCK)"
	@$(UV) venv --quiet --seed --clear --python '$(SYSTEM_PYTHON)' .venv
	@$(INSTALL) .venv --requirement $(LOCK)
	@$(INSTALL) .venv --no-deps --requirement $(CONTAINER)
	@mkdir -p .venv/share/jupyter/lab/settings && cp studio/jupyterlab.json .venv/share/jupyter/lab/settings/overrides.json
	@cp $(FEWER_COLLECTIONS) .venv/lib/python3*/site-packages
	@cd .venv/lib/python3*/site-packages && echo import fewer_collections >fewer_collections.pth
	@sed -i 's/Python 3 (ipykernel)/Python 3 (SageMaker SDK 2)/' .venv/share/jupyter/kernels/python3/kernel.json
	@echo "$(FROM)" >$@

# SDK 3 cannot share an environment with SDK 2: its notebook has a kernel of its own, which the first one's Jupyter shows.
.venv-v3/installed: $(LOCK_V3) .venv/installed
	@echo "== .venv-v3: installing $(LOCK_V3), and the kernel sagemaker-v3 into .venv"
	@# Jobs may not write into .venv, and would compile it each time. First what the quick start and its job import; and at the
	@# SDK's first import Python 3.12 would show warnings about its syntax.
	@cd .venv/lib/python3*/site-packages && ../../../bin/python -W ignore -m compileall -q -j 0 sagemaker* tensorflow keras >/dev/null || true
	@$(PYTHON) -W ignore -m compileall -q -j 0 .venv/lib >/dev/null || true
	@$(UV) venv --quiet --seed --clear --python '$(SYSTEM_PYTHON)' .venv-v3
	@$(INSTALL) .venv-v3 --compile-bytecode --requirement $(LOCK_V3)
	@JUPYTER_PATH="$$PWD/.venv/share/jupyter" $(PYTHON_V3) -m ipykernel install --prefix .venv --name sagemaker-v3 --display-name "Python 3 (SageMaker SDK 3)" >/dev/null
	@touch $@

locks: | $(UV)  ## write tests/locks: the newest versions that requirements*.txt allow, on the Pythons of the series
	@mkdir -p tests/locks
	$(UV_LOCK) tests/requirements.txt --output-file tests/locks/requirements.txt
	$(UV_LOCK) requirements-v3.txt --output-file tests/locks/requirements-v3.txt
	$(UV_LOCK) site/requirements.txt --output-file tests/locks/requirements-site.txt
UV_LOCK := $(UV) pip compile --quiet --upgrade --universal --python-version 3.11 --no-annotate --custom-compile-command "make locks"

# Notebook 10 alone needs .venv-v3, and local mode alone the training image: nobody waits for them.
lab: .venv/installed  ## open JupyterLab inside the sandbox, no AWS account needed
	@test -e .venv-v3/installed || echo "== .venv-v3, for notebook 10, is made meanwhile; how it goes is in .venv/later.txt"
	@test ! -e .git || echo "== What you run and change is saved in these files. 'git stash' brings the series back as it was."
	@nice $(MAKE) --no-print-directory .venv-v3/installed >.venv/later.txt 2>&1 & later=$$!; trap "kill $$later 2>/dev/null; true" EXIT; \
	SANDBOX_IMAGES="$${SANDBOX_IMAGES:-$$PWD/.matrix}" $(SANDBOX) jupyter lab --notebook-dir=. \
	--LabApp.default_url=/lab/tree/notebooks/01-quick-start.ipynb $(LAB_OPTIONS)

test: lint image-if-docker  ## lint, unit tests, and every notebook against its committed outputs
	@# Alone, because their jobs in local mode and those of the notebooks would share one network of Docker's.
	@$(MAKE) --no-print-directory unit
	@echo "== notebooks, as managed jobs and in local mode side by side: some minutes"
	@$(MAKE) --no-print-directory --keep-going --output-sync --jobs=2 managed local MANAGED="$(NOTEBOOKS) $(SOLUTIONS)"

everything: test slides sheet  ## what CI runs: test, slides, sheet, the site, the solutions in local mode, and a clone in a folder with an odd name
	@$(MAKE) --no-print-directory site-test
	@$(MAKE) --no-print-directory local NOTEBOOKS="$(SOLUTIONS)"
	$(PYTHON) -m pytest --timeout=600 -p no:cacheprovider -q tests/odd_places.py

lint: .venv/installed  ## ruff on code and notebooks, notebook JSON in one form, cfn-lint on the workshop's template
	$(RUFF) check --config tests/ruff.toml .
	$(RUFF) format --config tests/ruff.toml --check .
	$(PYTHON) tests/notebook_form.py --check $(NOTEBOOKS) $(SOLUTIONS) studio/slides.ipynb
	$(PYTHON) tests/exercises.py --check
	$(PYTHON) tests/editions.py check $(LANGUAGES)
	.venv/bin/cfn-lint studio/workshop.yaml

unit: .venv-v3/installed
	SANDBOX_IMAGES=/dev/null $(PYTHON) -m pytest --timeout=300 -p no:cacheprovider -q $(PARALLEL) --no-loadscope-reorder tests

# SANDBOX_POLICY=arn:aws:iam::aws:policy/AmazonSageMakerFullAccess make managed: with no more rights than AWS's own policy gives.
managed: .venv-v3/installed
	@echo "== notebooks, as managed jobs in the sandbox"
	$(SERIES) LOCAL_MODE=0 $(SANDBOX) $(NBVAL) $(PARALLEL) $(MANAGED)

local: .venv-v3/installed image-if-docker
	@echo "== notebooks, in local mode"
	@if $(PYTHON) -m sandbox.local_mode.docker; then $(SERIES) $(SANDBOX) $(NBVAL) $(filter-out $(MANAGED_ONLY),$(NOTEBOOKS)); \
	else echo "== The notebooks did NOT run in local mode, for the reason above." >&2; test "$$CI" != true; fi

studio: .venv-v3/installed image-if-docker  ## the notebooks in local mode, as in a Studio space with Docker
	@echo "== notebooks and tests, in Studio's local mode: some minutes"
	@if $(PYTHON) -m sandbox.local_mode.docker; then \
	$(SERIES) $(SANDBOX) --studio $(NBVAL) $(filter-out $(MANAGED_ONLY) $(TELLS_WHERE),$(NOTEBOOKS)) && \
	$(PYTHON) -m pytest -p no:cacheprovider -q tests/matrix_studio.py && \
	$(TESTED_ON) "Local mode as in Studio" $(PYTHON) "notebooks 01 to 07, 09 and 10, in containers"; \
	else echo "== The notebooks did NOT run in Studio's local mode, for the reason above." >&2; test "$$CI" != true; fi

# The oldest is the seed's, the newest that of requirements.txt.
VERSIONS := 2.3.1 2.12.1 2.15.1 2.18.1 2.21.0
# Studio's images, the last with SDK 2 and the newest with SDK 3, which runs notebook 10 alone; all but 00, which looks at the machine.
SDK_2_IMAGES := studio-2.14
SDK_3_IMAGES := studio-4.5
TESTED_ON := $(PYTHON) tests/tested_on.py
# Where the environments are: MATRIX=FOLDER, outside of a clone, keeps them for the next one; .matrix is a link to it.
ifdef MATRIX
ifneq "$(shell test -d .matrix && test ! -L .matrix && echo folder)" ""
$(error .matrix is a folder, and MATRIX names another: move it to $(MATRIX), or unset MATRIX)
endif
$(shell mkdir -p "$(MATRIX)" && ln -sfn "$(MATRIX)" .matrix)
endif
# TensorFlow 2.3.1 installs on Python 3.8 at most; AWS's image of it has 3.7.
PYTHON_3_7 ?= $(lastword python3.7 $(wildcard $(HOME)/.pyenv/versions/3.7.*/bin/python))
# Those of Studio's images.
PYTHON_3_11 ?= $(lastword python3.11 $(wildcard $(HOME)/.pyenv/versions/3.11.*/bin/python))
PYTHON_3_12 ?= $(lastword python3.12 $(wildcard $(HOME)/.pyenv/versions/3.12.*/bin/python))

matrix: $(VERSIONS:%=matrix-%) matrix-seed-image $(SDK_2_IMAGES:%=matrix-%) $(SDK_3_IMAGES:%=matrix-%) .venv-v3/installed  ## train.py on five versions of TensorFlow, the notebooks in the seed's image and on Studio's packages
	@echo "== studio/kernels.py with packages from PyPI: some minutes"
	$(PYTHON) -m pytest -p no:cacheprovider -q tests/matrix_setup.py

matrix-%: .matrix/%/installed .venv/installed
	@echo "== train.py on TensorFlow $*"
	@# Without tests/conftest.py, which is about the sandbox and needs a newer Python.
	.matrix/$*/bin/python -m pytest -p no:cacheprovider --noconftest -q tests/test_train.py
	$(TESTED_ON) "TensorFlow $*" .matrix/$*/bin/python "the tests of \`train.py\`"

# The notebooks' jobs in an environment like the seed's image, which is what they get on AWS: tests/seed_image.cfg names the
# cells whose output is another one there. (--dist loadfile keeps a notebook's cells together.)
matrix-seed-image: .matrix/2.3.1/installed .venv-v3/installed
	@echo "== notebooks, as managed jobs in the environment of the image of TensorFlow 2.3.1"
	$(IN_IMAGES) LOCAL_MODE=0 $(SANDBOX) env --unset=TRAINING_IMAGE PYTHONPATH=tests $(NBVAL) -p seed_image $(PARALLEL) $(NOTEBOOKS)
	$(TESTED_ON) "The image of TensorFlow 2.3.1" .matrix/2.3.1/bin/python "notebooks 00 to 12, as managed jobs; tests/seed_image.cfg"

$(SDK_2_IMAGES:%=matrix-%): KERNEL_NOTEBOOKS = $(filter-out $(TELLS_WHERE),$(NOTEBOOKS))
$(SDK_2_IMAGES:%=matrix-%): WHAT = all notebooks but 00, as managed jobs
$(SDK_3_IMAGES:%=matrix-%): KERNEL_NOTEBOOKS = notebooks/10-model-trainer.ipynb
$(SDK_3_IMAGES:%=matrix-%): WHAT = notebook 10, as managed jobs
# A job's TensorFlow that is newer than the notebook's can write what the notebook cannot read: this image has 2.18.
matrix-studio-2.14: .matrix/2.18.1/installed
matrix-studio-2.14: SERIES = $(IN_IMAGES)
matrix-studio-2.14: JOBS = TRAINING_IMAGE=763104351884.dkr.ecr.us-east-1.amazonaws.com/tensorflow-training:2.18.1-cpu-py311
matrix-studio-%: .matrix/studio-%/installed .venv-v3/installed
	@echo "== notebooks with the packages of SageMaker Distribution $*, as managed jobs"
	JUPYTER_PATH="$$PWD/.matrix/studio-$*/kernels/share/jupyter" $(SERIES) LOCAL_MODE=0 $(SANDBOX) env $(JOBS) $(NBVAL) $(PARALLEL) $(KERNEL_NOTEBOOKS)
	$(TESTED_ON) "SageMaker Distribution $*" .matrix/studio-$*/bin/python "$(WHAT)"

.PRECIOUS: .matrix/%/installed .matrix/studio-%/installed
.matrix/2.3.1/installed: SYSTEM_PYTHON = $(PYTHON_3_7)
# That of the seed is as AWS made its image, 2.3.1-cpu-py37, in February 2021.
.matrix/2.3.1/installed: BESIDE = numpy==1.18.5 protobuf==3.20.3 sagemaker-training==3.7.3
.matrix/2.3.1/installed: CODE = sagemaker-tensorflow-training==20.3.0
# What a job imports of the toolkit's dependencies: its own list wants a protobuf that TensorFlow 2.12 and 2.15 refuse.
TOOLKITS := boto3 inotify_simple==1.2.1 paramiko psutil retrying six
.matrix/%/installed: BESIDE = $(TOOLKITS)
.matrix/%/installed: CODE = --requirement $(CONTAINER)
# TensorFlow 2.18 takes any newer Keras; AWS's image has one of its time, whose models the Keras of Studio's image can read.
.matrix/2.18.1/installed: BESIDE = $(TOOLKITS) keras==3.6.0
.matrix/%/installed: Makefile $(CONTAINER) | $(UV)
	@echo "== $(@D): installing TensorFlow $*"
	@$(UV) venv --quiet --seed --clear --python '$(SYSTEM_PYTHON)' $(@D) || { echo "$(@D) was not made, for the reason above. Where it is \
	the Python: 2.3.1 needs 3.7. Install it (pyenv install 3.7), or name it: make PYTHON_3_7=/path/to/python3.7 matrix" >&2; exit 1; }
	@$(INSTALL) $(@D) --compile-bytecode $(TENSORFLOW)==$* 'pytest<10' 'setuptools<81' $(BESIDE)
	@$(INSTALL) $(@D) --no-deps $(CODE)
	@touch $@

# Its kernel has the name that the notebooks for its SDK ask for. The other one is that of the series, as studio/kernels.py makes it.
.matrix/studio-2.14/installed: SYSTEM_PYTHON = $(PYTHON_3_11)
.matrix/studio-4.5/installed: SYSTEM_PYTHON = $(PYTHON_3_12)
.matrix/studio-%/installed: tests/images/studio-%.txt | $(UV)
	@echo "== $(@D): installing the packages of SageMaker Distribution $*"
	@$(UV) venv --quiet --seed --clear --python '$(SYSTEM_PYTHON)' $(@D) || { echo "$(@D) was not made, for the reason above. Where it is \
	the Python: install it (pyenv install 3.11 3.12), or name it: make PYTHON_3_11=/path/to/python3.11 PYTHON_3_12=/path/to/python3.12 \
	matrix" >&2; exit 1; }
	@$(INSTALL) $(@D) --compile-bytecode --requirement $<
	@test ! -e $(<:.txt=.no-deps) || $(INSTALL) $(@D) --no-deps --requirement $(<:.txt=.no-deps)
	@JUPYTER_PATH="$$PWD/$(@D)/kernels/share/jupyter" $(@D)/bin/python -m ipykernel install --prefix $(@D)/kernels \
	--name $(if $(filter studio-$*,$(SDK_3_IMAGES)),sagemaker-v3,python3) >/dev/null
	@touch $@

aws: .venv-v3/installed  ## the notebooks in your AWS account, against the same outputs: says what it costs and asks (YES=1: does not)
	$(PYTHON) tests/on_aws.py $(filter-out $(TELLS_WHERE),$(NOTEBOOKS))

bench: .venv/installed image-if-docker  ## train.py against a plain recipe; what a job costs beyond its script; an endpoint beside a loop; how long `make lab` takes
	$(PYTHON) tests/bench_train.py
	$(PYTHON) tests/bench_managed_jobs.py
	$(SANDBOX) $(PYTHON) tests/bench_endpoint.py
	$(PYTHON) tests/bench_lab.py

image: .venv/installed  ## build the training image of local mode
	@echo "== image: building the training image of local mode"
	$(PYTHON) -m sandbox.local_mode.image

image-if-docker: .venv/installed
	@if docker info >/dev/null 2>&1; then $(MAKE) --no-print-directory image || echo "== image: not built" >&2; fi

# The flags of README.md and .devcontainer/devcontainer.json. The network of a build is the machine's: a proxy may listen there.
IN_LAB := docker run --rm --cap-add=SYS_ADMIN --cap-add=NET_ADMIN --security-opt apparmor=unconfined
DEVCONTAINER := npx --yes @devcontainers/cli@0

containers:  ## the image of the lab and the devcontainer, and the notebooks as managed jobs in both; needs Docker and npx
	@echo "== the image of the lab"
	docker build --network=host --tag $(LABEL) --label $(LABEL)=lab --file .devcontainer/Dockerfile .
	$(IN_LAB) $(LABEL) make managed
	@echo "== the devcontainer, on a copy of the last commit"
	folder=$$(mktemp -d) && trap 'docker ps --all --quiet --filter label=devcontainer.local_folder=$$folder | xargs -r docker rm --force; \
	rm -rf "$$folder"' EXIT && git clone --quiet . "$$folder" && { test ! -e .devcontainer/ca.pem || cp .devcontainer/ca.pem "$$folder/.devcontainer"; } && \
	$(DEVCONTAINER) up --workspace-folder "$$folder" --skip-post-attach && $(DEVCONTAINER) exec --workspace-folder "$$folder" make managed

outputs: .venv-v3/installed  ## run every notebook as managed jobs, save its outputs, and write notebooks/COST.md
	$(SERIES) LOCAL_MODE=0 $(SANDBOX) python tests/save_outputs.py $(NOTEBOOKS)
	$(SERIES) LOCAL_MODE=0 $(SANDBOX) python tests/save_outputs.py $(SOLUTIONS)
	$(MAKE) editions

editions:  ## the guide's tables, exercises from their solutions, and the other languages from the English text (LANGUAGES=de begins a new one)
	$(PYTHON) tests/minutes.py
	$(PYTHON) tests/exercises.py
	$(PYTHON) tests/editions.py update $(LANGUAGES)
	$(PYTHON) tests/editions.py build $(LANGUAGES)

# reveal.js, as a package of PyPI has it: https://github.com/attakei/sphinx-revealjs
.slides/installed: .venv/installed Makefile
	@$(UV) pip install --quiet --no-deps --target .slides sphinx-revealjs==3.2.1
	@touch $@

slides: .slides/installed  ## the slides to begin with, in every language: handouts/slides*.html, which need no network
	@mkdir -p handouts
	@$(foreach name,slides $(LANGUAGES:%=slides.%),$(PYTHON) tests/slides.py .slides/sphinx_revealjs/_static/revealjs $(call ORIGINAL,$(name),ipynb) && ) true
	@ls handouts/slides*

sheet: .venv/installed  ## one sheet to print, in every language: handouts/sheet*.html, and .pdf where there is a Chromium
	@mkdir -p handouts
	@$(foreach name,sheet $(LANGUAGES:%=sheet.%),$(PYTHON) tests/sheet.py $(call ORIGINAL,$(name),md) && ) true
	@ls handouts/sheet*

# slides.ko and ipynb: what it is made from, what it becomes, and its language.
ORIGINAL = $(if $(suffix $(1)),$(patsubst .%,%,$(suffix $(1))),studio)/$(basename $(1)).$(2) handouts/$(1).html $(if $(suffix $(1)),$(patsubst .%,%,$(suffix $(1))),en)

# An environment of its own: Sphinx needs a docutils that awscli refuses. And whoever only builds the site needs no TensorFlow.
.venv-site/installed: $(LOCK_SITE) | $(UV)
	@echo "== .venv-site: installing $(LOCK_SITE)"
	@$(UV) venv --quiet --clear --python '$(SYSTEM_PYTHON)' .venv-site
	@$(INSTALL) .venv-site --compile-bytecode --requirement $(LOCK_SITE)
	@touch $@

# Its pages, the English ones at the top; nothing is run.
PAGES := site/_build/pages

site: .venv-site/installed  ## the series as a web site, in site/_build/pages, from what is committed
	@rm -rf site/_build
	@$(MAKE) --no-print-directory --keep-going --output-sync --jobs=2 site-en $(LANGUAGES:%=site-%)
	@.venv-site/bin/python site/links.py $(PAGES)
	@echo "== the site is in $(PAGES)/index.html"

site-%:
	@mkdir -p site/_build/source/$*
	.venv-site/bin/python -m sphinx --quiet --fail-on-warning -c site -D language=$* -d site/_build/read/$* \
	site/_build/source/$* $(PAGES)/$(filter-out en,$*)

site-test: site  ## the site in a browser without a window: needs Chromium
	@.venv-site/bin/python -m pytest --noconftest -p no:cacheprovider -q tests/site_in_a_browser.py

clean:  ## remove the environments, the training image and every cache
	rm -rf handouts .slides .matrix .uv .venv .venv-v3 .venv-site site/_build .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
	@if docker info >/dev/null 2>&1; then docker images --quiet --filter label=$(LABEL) | sort -u | xargs -r docker image rm --force; fi
