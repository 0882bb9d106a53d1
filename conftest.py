"""Load the check on notebooks (tests/nbval_tolerant.py), wherever in the project pytest is started."""

pytest_plugins = ["nbval_tolerant"]
