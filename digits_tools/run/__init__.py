"""Run a lesson in a fresh kernel, and decide which results of an earlier run can be reused."""

from digits_tools.run.cache import (
    STATE_FILE,
    LessonState,
    input_digests,
    package_digest,
    read_state,
    reusable_lessons,
    state_of,
    write_state,
)
from digits_tools.run.engine import run_lesson
from digits_tools.run.kernel import absolute_folders, end_kernels
from digits_tools.run.progress import clock, show_progress

__all__ = ["STATE_FILE", "LessonState", "input_digests", "package_digest", "read_state", "reusable_lessons", "state_of",
           "write_state", "run_lesson", "absolute_folders", "end_kernels", "clock", "show_progress"]  # fmt: skip
