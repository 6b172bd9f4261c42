# Every command works from a fresh clone: each makes the virtual environment it needs.
PYTHON ?= python3
BASE := .venv/base
DEV := .venv/dev
TORCH := .venv/torch
DEMO_DB := out/demo.db
SIZES ?= 10000,100000
LOCOMO ?= ../shared/data/locomo/dev.json

.PHONY: help demo test check test-torch bench docs clean

help:
	@echo "make demo        install, import the example conversations, ask three questions"
	@echo "make test        all tests and every code block of the docs"
	@echo "make check       format, lint, strict types, import arrows"
	@echo "make test-torch  the parts that need PyTorch"
	@echo "make bench       speed and quality beside plain FTS5 and sqlite-vec + FTS5"
	@echo "make docs        write docs/cli.md anew from --help"

$(BASE)/done: pyproject.toml
	$(PYTHON) -m venv $(BASE)
	$(BASE)/bin/pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV)/done: pyproject.toml
	$(PYTHON) -m venv $(DEV)
	$(DEV)/bin/pip install --quiet --disable-pip-version-check --editable ".[dev,bench]"
	@touch $@

$(TORCH)/done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(TORCH)
	$(TORCH)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt torch
	$(TORCH)/bin/pip install --quiet --disable-pip-version-check -c constraints.txt --editable ".[dev,test-torch]"
	@touch $@

demo: $(BASE)/done
	@mkdir -p out
	@$(BASE)/bin/python examples/demo.py $(DEMO_DB)

test: $(DEV)/done
	$(DEV)/bin/pytest

check: $(DEV)/done
	$(DEV)/bin/ruff format --check .
	$(DEV)/bin/ruff check .
	$(DEV)/bin/mypy
	$(DEV)/bin/pytest tests/test_architecture.py

test-torch: $(TORCH)/done
	$(TORCH)/bin/pytest -m torch

bench: $(DEV)/done
	$(DEV)/bin/python benchmarks/startup.py
	$(DEV)/bin/python benchmarks/scale.py --sizes $(SIZES)
	$(DEV)/bin/python benchmarks/locomo_peers.py $(LOCOMO)
	$(DEV)/bin/python benchmarks/time_reading.py $(LOCOMO)
	$(DEV)/bin/python benchmarks/time_windows.py $(LOCOMO)

docs: $(DEV)/done
	$(DEV)/bin/python tools/cli_reference.py

clean:
	rm -rf .venv out dist build
