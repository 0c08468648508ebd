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
	python scripts/simulate_cluster.py --workers 1 --directions 2 --seconds 0.01 --iterations 1
	python scripts/soak.py --robots Hopper --resets 100 --steps 2000

wheel:
	scripts/check_wheel.sh

# The variable keeps a notice about the generator's next years out of the output.
site:
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet --site-dir build/site
