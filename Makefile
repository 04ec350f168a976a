PYTHON ?= python3
ACTIVATE = . .venv/bin/activate

.PHONY: demo test test-slow test-services test-lowest campaign verify-boards lint types imports docs clean

# One environment for everything: made from the project's own files, again when they change.
.venv/.installed: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(ACTIVATE) && pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $@

demo: .venv/.installed
	$(ACTIVATE) && mlflow run . --env-manager local --experiment-name synththorax/cxr_pneumonia

test: .venv/.installed
	$(ACTIVATE) && python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

test-slow: .venv/.installed
	$(ACTIVATE) && python -m pytest -m slow

# PostgreSQL (apt-get install postgresql), an S3 server and MLflow are started, and taken away.
test-services: .venv/.installed
	$(ACTIVATE) && pip install --quiet --disable-pip-version-check -e '.[dev,ray,s3,team]' 'moto[server]>=5' boto3
	$(ACTIVATE) && python -m pytest -m slow tests/experiments/services tests/engine/executors

# The lowest versions that pyproject.toml allows must work together.
test-lowest:
	$(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/pip install --quiet --disable-pip-version-check uv
	.venv-lowest/bin/uv pip install --python .venv-lowest --resolution lowest-direct -e '.[dev]'
	PATH="$$PWD/.venv-lowest/bin:$$PATH" python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

# Runs are killed, started together, and lose their disks and servers: about an hour.
campaign: .venv/.installed
	$(ACTIVATE) && python perf/campaign.py

# Every check of `verify`, on every row of the boards.
verify-boards: .venv/.installed
	$(ACTIVATE) && python -m benchmark leaderboard --check --verify

lint: .venv/.installed
	$(ACTIVATE) && ruff check . && ruff format --check .

types: .venv/.installed
	$(ACTIVATE) && mypy

imports: .venv/.installed
	$(ACTIVATE) && lint-imports

# The site, with strict links, in site/.
docs: .venv/.installed
	$(ACTIVATE) && pip install --quiet --disable-pip-version-check -e '.[docs]' && mkdocs build --strict

clean:
	rm -rf outputs .store mlruns mlflow.db site
