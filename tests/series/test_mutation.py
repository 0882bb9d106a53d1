"""The mutants of benchmarks/mutants.toml can be planted in the lessons and the package as they are."""

import runpy
from pathlib import Path

from digits_tools.lessons import LESSONS, PROJECT

MUTATION = runpy.run_path(str(PROJECT / "benchmarks" / "mutation.py"))
MUTANTS = MUTATION["load_mutants"]()


def test_mutants_are_many_and_spread_over_all_lessons():
    assert len(MUTANTS) >= 60
    assert {mutant["lesson"] for mutant in MUTANTS} == {lesson.number for lesson in LESSONS}
    names = [mutant["name"] for mutant in MUTANTS]
    assert len(set(names)) == len(names)


def test_every_mutant_can_be_planted(tmp_path: Path):
    MUTATION["copy_sources"](PROJECT, tmp_path)
    problems = []
    for mutant in MUTANTS:
        path = tmp_path / "digits_helpers" / mutant["file"]
        path = MUTATION["lesson_path"](tmp_path, mutant["lesson"]) if mutant["file"] == "lesson" else path
        before = path.read_bytes()
        try:
            MUTATION["plant"](mutant, tmp_path)
        except (OSError, ValueError) as error:
            problems.append(f"{mutant['name']}: {error}")
        else:
            if path.read_bytes() == before:
                problems.append(f"{mutant['name']}: nothing changes")
        path.write_bytes(before)
    assert not problems
