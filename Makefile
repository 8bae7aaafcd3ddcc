# Two commands do everything on a machine with Python 3.11 and make:
#   make run    set up, start the service on 127.0.0.1:8080, publish the sample items on the first start
#   make test   set up, then every check and every test
# And for hours: make soak   two thousand deaths, every failpoint, power cuts and long random lives, on both databases
PYTHON ?= python3.11
VENV := .venv
TEST_VENV := .venv-test
WORKERS ?= 2
PIP_FLAGS := --quiet --disable-pip-version-check --require-virtualenv

.PHONY: run test soak lint bench lock clean

run: $(VENV)/.ready
	$(VENV)/bin/gongbao serve --samples

test: $(TEST_VENV)/.ready lint
	$(TEST_VENV)/bin/python -m pytest -n $(WORKERS) --dist loadgroup --cov --cov-report=term $(ARGS)

# The long form of what `make test` does to processes, files and random lives. KILLS is for each database.
EXAMPLES ?= 500
KILLS ?= 1000
FREEZES ?= 20
LIVES := tests/crash tests/content_queue/test_life_model.py tests/content_queue/test_look_model.py
soak: $(TEST_VENV)/.ready
	GONGBAO_TEST_EXAMPLES=$(EXAMPLES) GONGBAO_KILLS=$(KILLS) GONGBAO_FREEZES=$(FREEZES) \
		$(TEST_VENV)/bin/python -m pytest -n $(WORKERS) --dist loadgroup -rP $(LIVES) $(ARGS)

lint: $(TEST_VENV)/.ready
	$(TEST_VENV)/bin/ruff check .
	$(TEST_VENV)/bin/mypy
	$(TEST_VENV)/bin/lint-imports

bench: $(TEST_VENV)/.ready
	$(TEST_VENV)/bin/python -m bench $(ARGS)

$(VENV)/.ready: deploy/requirements.txt pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(VENV)/bin/pip install $(PIP_FLAGS) --require-hashes -r deploy/requirements.txt
	$(VENV)/bin/pip install $(PIP_FLAGS) --no-deps --no-build-isolation --editable .
	touch $@

$(TEST_VENV)/.ready: deploy/requirements-test.txt pyproject.toml
	$(PYTHON) -m venv --clear $(TEST_VENV)
	$(TEST_VENV)/bin/pip install $(PIP_FLAGS) --require-hashes -r deploy/requirements-test.txt
	$(TEST_VENV)/bin/pip install $(PIP_FLAGS) --no-deps --no-build-isolation --editable .
	touch $@

# Needs uv; run after changing the dependencies in pyproject.toml.
LOCK := uv pip compile pyproject.toml --extra build --python-version 3.11 --generate-hashes --no-strip-extras --no-emit-index-url --no-header --quiet
lock:
	$(LOCK) -o deploy/requirements.txt
	$(LOCK) --extra dev -c deploy/requirements.txt -o deploy/requirements-test.txt

clean:
	rm -rf $(VENV) $(TEST_VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
