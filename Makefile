# `make check` is what .ci/run calls in its fresh environment, and what you can call in yours
# (pip install -e ".[test,docs]").

.PHONY: check test lint format types scripts wheel site

check: lint types scripts wheel site

test:
	python -m pytest

lint:
	ruff check .
	ruff format --check .

format:
	ruff check --fix .
	ruff format .

types:
	mypy

scripts:
	for script in scripts/*.py; do python "$$script" --help >/dev/null || exit 1; done

wheel:
	scripts/check_wheel.sh

site:
	mkdocs build --strict --quiet --site-dir build/site
