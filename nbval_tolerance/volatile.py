"""Text that differs from run to run and is never compared: durations, clock times, addresses, paths.

Every kind can be switched off, and patterns of one's own can be added. docs/nbval_tolerance.md lists what each matches.
"""

import re
from collections.abc import Collection, Iterable

_NUMBER = r"(?<![\w.,])\d[\d,]*(?:\.\d*)?(?:[eE][+-]?\d+)?"
_PER = r"(?:/(?:step|epoch|it|iter|iteration|batch|sample|image|call|loop)\b)?"
_CLOCK = r"(?:\d+:)?\d+:[0-5]\d"
_DURATIONS = (
    # A tqdm bar's times and rate: [00:08<00:00, 12.30it/s]; what stands behind them, such as a loss, is compared.
    rf"(?<=\[){_CLOCK}(?:<(?:\?|{_CLOCK}))?,\s*(?:\?|[\d.]+[kMGT]?)\s*[^\s,\]/]+/[^\s,\]]+",
    # 1min 3s, 1m 3.2s, 2 h 5 min
    r"(?<![\w.,])(?:\d+ ?h(?:ours?|r)? ?)?\d+ ?m(?:in(?:utes?)?)? ?\d+(?:\.\d+)? ?s(?:ec(?:onds?)?)?(?!\w)",
    r"(?<![\w.,])\d+ ?h(?:ours?|r)? ?\d+ ?m(?:in(?:utes?)?)?(?!\w)",
    # 85ms/step, 1.2 ms, 30 µs, 12 ns
    rf"{_NUMBER}(?:[\s ]?(?:ns|µs|μs|ms)|us){_PER}(?![\w/])",
    # 1.2 s, 1.2s, 36 s, 36 seconds, 36s/epoch
    rf"(?<![\w.,])\d[\d,]*(?:(?:\.\d+)?[eE][+-]?\d+\s?|\.\d+\s?|\s)(?:s|secs?|seconds?){_PER}(?![\w/^²])",
    r"(?<![\w.,])\d+(?:s/(?:epoch|step|it)|secs?)(?!\w)",
    # 36s. One digit may be a name ("the 5s"), so it needs Keras's log around it, or a word; so do decades ("the 90s").
    r"(?<![\w.,’'])(?<!the )\d{2,3}s(?!\w)",
    r"(?:(?<=in )|(?<=took )|(?<=time )|(?<=time: )|(?<=ETA: )|(?<=\d - )|(?<=[━\]] )|(?<=\] - )|(?<=\())\d+s(?!\w)",
    # The number of loops that %timeit chooses
    r"(?<=of )\d+ runs?, [\d,]+ loops? each",
    # 12.3it/s, 45.2 MB/s, 1,200 images/s, 3.4s/it
    rf"{_NUMBER}\s?[kMGT]?i?(?:it|B|bytes|steps?|samples?|examples?|images?|batch(?:es)?|rows?|tokens?)/s(?:ec(?:ond)?)?(?!\w)",
)
KINDS = {
    "durations": _DURATIONS,
    # 0:06, 13:02:44; neither the time of a date (2009-01-01 00:00:00) nor a slice ([1:10])
    "clock": (rf"(?<![\w.:,/\[-])(?<!\d-\d\d )(?<!\d-\d\dT){_CLOCK}(?:\.\d+)?(?!\w|:|\.\d)",),
    "addresses": (r"(?<=\bat )0x[0-9a-fA-F]{4,}",),
    # The file that a warning names for a cell, and the folder that the libraries are installed in
    "paths": (
        r"(?<!\S)\S*[\\/]ipykernel_\d+[\\/]\d+\.py",
        r"<ipython-input-\d+-[0-9a-f]+>",
        r"(?<!\S)\S*[\\/](?:site|dist)-packages(?=[\\/])",
    ),
}
_ANSI = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


class Volatile:
    """What is never compared: all kinds but those in `compared`, and the regular expressions in `patterns`."""

    def __init__(self, compared: Collection[str] = (), patterns: Iterable[str] = ()) -> None:
        kinds = {kind: "|".join(found) for kind, found in KINDS.items() if kind not in compared}
        self._patterns = [(re.compile(pattern, re.MULTILINE), "<volatile>") for pattern in patterns]
        self._patterns += [(re.compile(pattern), f"<{kind}>") for kind, pattern in kinds.items()]
        # Blanks that align a column change in number when a duration changes its length.
        self._blanks = re.compile(rf"(?<! ) {{2,}}+(?=<(?:volatile|{'|'.join(KINDS)})>)")

    def hide(self, text: str) -> str:
        """The text with a mark such as <durations> in place of each volatile part."""
        for pattern, mark in self._patterns:
            text = pattern.sub(mark, text)
        return self._blanks.sub(" ", text)


def fold(text: str) -> str:
    """What a terminal shows of a text in the end: carriage returns and backspaces done, colours left out."""
    lines = []
    for line in _ANSI.sub("", text).replace("\r\n", "\n").split("\n"):
        parts, shown, column = re.split("([\r\b])", line), "", 0
        for part in parts:
            if part in ("\r", "\b"):
                column = 0 if part == "\r" else max(column - 1, 0)
            else:
                shown = shown[:column] + part + shown[column + len(part) :]
                column += len(part)
        lines.append(shown.rstrip() if len(parts) > 1 else line)
    return "\n".join(lines)
