"""Run a lesson in a fresh kernel, and decide which results of an earlier run can be reused."""

from digits_tools.run.cache import input_digests, package_digest
from digits_tools.run.engine import run_lesson
from digits_tools.run.kernel import absolute_folders, end_kernels
from digits_tools.run.progress import clock, show_progress

__all__ = [
    "absolute_folders",
    "clock",
    "end_kernels",
    "input_digests",
    "package_digest",
    "run_lesson",
    "show_progress",
]
