"""The command `nbval-tolerance` (also `python -m nbval_tolerance`): compare two executed notebooks."""

import argparse
import sys
from collections.abc import Sequence

from nbval_tolerance import ToleranceError, compare_notebooks, load_tolerances


def main(arguments: Sequence[str] | None = None) -> int:
    """Print one line per difference. Returns 0 without one, 1 with one, 2 if the comparison cannot be made."""
    parser = argparse.ArgumentParser(prog="nbval-tolerance", description="Compare two executed notebooks.")
    parser.add_argument("stored", help="the notebook to compare with")
    parser.add_argument("new", help="the notebook of a new run")
    parser.add_argument("--tolerances", metavar="FILE", help="TOML file with tolerances")
    parser.add_argument("--rtol", help="relative tolerance of cells without a tag")
    parser.add_argument("--atol", help="absolute tolerance of cells without a tag")
    parser.add_argument("--volatile", action="append", default=[], metavar="REGEX", help="more that is never compared")
    parser.add_argument("--pictures", metavar="DIR", help="where to write pictures of figures that differ")
    parser.add_argument("--table", action="store_true", help="print every number, not only those that differ")
    given = parser.parse_args(arguments)
    try:
        tolerances = load_tolerances(given.tolerances, rtol=given.rtol, atol=given.atol, volatile=given.volatile)
        findings = compare_notebooks(given.stored, given.new, tolerances, given.pictures, every=given.table)
    except ToleranceError as error:
        print(f"nbval-tolerance: {error}", file=sys.stderr)
        return 2
    for finding in findings:
        print(f"ok      {finding}" if finding.passed else f"DIFFERS {finding}" if given.table else finding)
    failed = sum(not finding.passed for finding in findings)
    print(f"{failed} differences." if failed else "No difference beyond the tolerances.")
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main())
