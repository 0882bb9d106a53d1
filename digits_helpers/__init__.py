"""The small package that the lessons of the digits series import.

One module per lesson: `data` (01), `preprocess` (02), `model` (03), `train` (04), `evaluate` (05); `figures` has the
plots of all of them. Importing this package imports neither TensorFlow nor matplotlib, so that a lesson which only
looks at data starts in a second.
"""

from importlib.metadata import PackageNotFoundError, version

from digits_helpers import _quiet

try:
    __version__ = version("digits-helpers")  # pyproject.toml is the one source
except PackageNotFoundError:  # the folder is on the path, but the package is not installed
    __version__ = "0+unknown"

_quiet.install()
