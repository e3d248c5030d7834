# Targets for people and CI; each installs what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
ROOMS := store scorer monitor cli migrations dashboards alerts
PYTEST := $(BIN)/python -m pytest
ORDINARY := not slow and not flavors and not spark and not datadog and not containers

.PHONY: setup servers demo test thorough lint format check bench torture compatibility flavors spark datadog containers clean constraints docs

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]' >$(VENV)/install.log 2>&1 \
		|| { cat $(VENV)/install.log; exit 1; }
	touch $(STAMP)

# What the tests run against: PostgreSQL, Prometheus, Alertmanager, Chromium. Installs what is missing on Debian as
# root, says what is missing elsewhere.
servers:
	./tests/install_servers.sh

demo: setup
	$(BIN)/driftline demo

test: setup servers
	$(PYTEST) -n 2 --dist loadfile -m "not thorough and $(ORDINARY)"

# What takes long: servers in each of their configurations, processes that are killed at each of their steps, versions
# that are swapped, upgrades from every release, environments that are built, fuzzed servers, pages in a browser, the
# docs' commands, the demo. CI runs it after `make test`.
thorough: setup servers
	$(PYTEST) -n 2 --dist loadfile -m "thorough and $(ORDINARY)"

# The long fault suite.
torture: setup servers
	$(PYTEST) -m slow --timeout 7200

# The contract tests with the oldest and the newest MLflow, pandas and SQLAlchemy that are supported.
compatibility: servers
	PYTHON=$(PYTHON) ./tests/compatibility/run.sh $(VERSIONS)

# Models of every framework against `mlflow models serve`, in an environment of their own, which has the frameworks.
flavors: servers
	PYTHON=$(PYTHON) ./tests/flavors/run.sh

# Profiles on a local Spark cluster of two executors, in an environment of its own; needs Java.
spark:
	./tests/install_servers.sh spark
	PYTHON=$(PYTHON) ./tests/spark/run.sh

# The Datadog Agent's own check on our metrics, in an environment of its own.
datadog:
	PYTHON=$(PYTHON) ./tests/datadog/run.sh

# The documentation as a site, in site/; a link that leads nowhere fails.
docs: setup
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

# The image and compose.yaml as they are, in containers; images that cannot be pulled get stand-ins.
containers: setup
	./tests/containers/run.sh

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# mypy and the import contract see the mapped packages through a folder of links.
lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	mkdir -p .typecheck/driftline
	for room in $(ROOMS); do ln -sfn ../../$$room .typecheck/driftline/$$room; done
	cd .typecheck && ../$(BIN)/mypy --config-file ../pyproject.toml -p driftline
	$(BIN)/lint-imports
	$(BIN)/python -m driftline.dashboards.build --check
	$(BIN)/python -m driftline.alerts.build --check

check: lint test thorough

bench: setup servers
	for script in benchmarks/*.py benchmarks/*/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

clean:
	rm -rf $(VENV) .compat .flavors .spark .datadog .containers .typecheck build dist site *.egg-info driftline-demo driftline-data

# Freeze what was just tested; no download addresses in it.
constraints:
	$(BIN)/python -m pip freeze --exclude-editable | grep -v ' @ ' > constraints.txt
