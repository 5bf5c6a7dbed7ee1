# make dashboard   the app on localhost, in its own .venv, nothing else needed but Python >= 3.10
# make test        the whole test suite, set up the same way
PYTHON ?= python3
BIN := $(if $(filter Windows_NT,$(OS)),.venv/Scripts,.venv/bin)
PYTEST_ARGS ?= -n 2 --dist loadfile
DASHBOARD_ARGS ?=
WORKSHOP_ARGS ?=

.PHONY: help api dashboard workshop learn lessons web web-runtime app dev test lint format lock demos clean

help:
	@echo "make dashboard   install the light set into .venv and open the dashboard"
	@echo "make workshop    install what the lessons need (with torch) and open them in JupyterLab"
	@echo "make lessons     build the lessons' notebooks from their sources"
	@echo "make web         the page that transcribes in the browser, on localhost; needs nothing but Python"
	@echo "make test        install everything and run all tests, browser tests included"
	@echo "make lint        ruff and mypy"
	@echo "make api         the API reference from the docstrings, in build/api"
	@echo "make demos       render the demo clips again (needs FluidSynth and the FluidR3 soundfont)"
	@echo "make lock        resolve the pinned versions again"
	@echo "make clean       remove .venv and what was built"

app:
	@tools/install.sh app $(PYTHON)

dev:
	@tools/install.sh dev $(PYTHON)

workshop: learn
	@$(BIN)/python -m amtsep workshop $(WORKSHOP_ARGS)

learn:
	@tools/install.sh workshop $(PYTHON)

lessons:
	@$(BIN)/python -m widgets.lessons.build

dashboard: app
	@$(BIN)/python -m amtsep dashboard $(DASHBOARD_ARGS)

web:
	@$(PYTHON) web/serve.py

web-runtime:
	@web/vendor/update.sh

test: dev
	@tools/system.sh
	@# The browser tests run apart: they start servers and Chromium, and want worker processes that did nothing else.
	@# What fails there is run once more, alone: a fault fails again, and both reports stay to be read.
	@status=0; $(BIN)/python -m pytest $(PYTEST_ARGS) --ignore=tests/browser || status=1; \
	$(BIN)/python -m pytest $(PYTEST_ARGS) tests/browser || { echo "Once more, alone, what failed:"; \
	$(BIN)/python -m pytest $(PYTEST_ARGS) -n 0 --last-failed --last-failed-no-failures none tests/browser; } || status=1; \
	exit $$status

lint: dev
	$(BIN)/ruff check .
	$(BIN)/mypy

api: dev
	@$(BIN)/python -m pip install -q --require-hashes --no-deps -r requirements/docs.txt
	@$(BIN)/python tools/api.py

format: dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock:
	$(PYTHON) tools/lock.py

demos: dev
	$(BIN)/python notebooks/demos/make.py

clean:
	rm -rf .venv build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
