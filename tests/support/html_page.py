"""What tests want to know of a page of HTML and of results.json, and a small report that shows all that pages can."""

import json
from html.parser import HTMLParser
from pathlib import Path

import jsonschema
import nbformat
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from digits_tools.lessons import CellTime, select_lessons
from digits_tools.report import record
from digits_tools.report.record import LessonRun, Report

SCHEMA = json.loads(Path(record.__file__).with_name("schemas").joinpath("results.schema.json").read_text("utf-8"))
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
FINDING = '5 is < 6 & the "rarest" class'
LONG = "a line of code that is a good deal longer than any telephone is wide, and than most screens are " * 2
TEXT = r"""# Title with $x^2$

[before](03_build_cnn.ipynb) [next](05_evaluate.ipynb#scores) [contents](../README.md#lessons) [x](https://example.org)

## Formulas

Inline $a < b$, in code `$x$`, from $5 to $10, and unknown: $\unheard{x}$.

$$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}} + z_1 + z_2 + z_3 + z_4 + z_5 + z_6 + z_7 + z_8 + z_9 + z_{10} + z_{11}$$

<details><summary>Answer</summary>

The answer is $y = 2$.

</details>

### Below

| quantity with a long name | another quantity with a long name | a third quantity with a long name |
| --- | ---: | --- |
| $z$ | 1 | `code` |

```python
print("an example in the text")
```
"""


class Page(HTMLParser):
    """What a test wants to know of a page: tags with attributes, and its text."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag in ("td", "th"):
            self.text += " "

    def handle_data(self, data):
        self.text += data

    def values(self, attribute, tag=None):
        return [attrs[attribute] for name, attrs in self.tags if attribute in attrs and tag in (None, name)]


def validate(results: dict) -> None:
    """Check the content of results.json against its schema."""
    jsonschema.validate(json.loads(json.dumps(results)), SCHEMA)


def figure(finding: str = FINDING, width: int = 1) -> list[NotebookNode]:
    """The two outputs of `figures.show`."""
    about = {"image/png": {"alt": finding, "width": width}, "nbval_tolerance": {"axes": ["what it draws"]}}
    image = new_output("display_data", {"image/png": PNG, "text/plain": finding}, metadata=about)
    return [image, new_output("display_data", {"text/markdown": f"*{finding}*", "text/plain": ""})]


def executed_lesson(report: Report, lesson: LessonRun, *cells: NotebookNode) -> Path:
    """Write an executed notebook into a report's folder, between its two navigation cells."""
    text = "[before](03_build_cnn.ipynb) · [contents](../README.md#lessons)"
    ends = [new_markdown_cell(text, id=f"nav-{place}", metadata={"tags": ["navigation"]}) for place in (1, 2)]
    path = report.notebook(lesson.lesson)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(new_notebook(cells=[ends[0], *cells, ends[1]]), path)
    return path


def small_report(folder: Path, numbers: str = "04-05") -> Report:
    """A report of complete lessons that has no notebooks and pages yet."""
    cells = [CellTime(2, 0.25, "import <this>"), CellTime(5, 61.5, "model.fit()")]
    lessons = [LessonRun(lesson, "complete", 312.4, cells=cells) for lesson in select_lessons(numbers)]
    lessons[0].reused = True
    used = {"dataset": "embedded", "seed": 3, "epochs": 2, "network": "own"}
    digests = {"train_images": "12" * 32, "all": "ab" * 32}
    dataset = {"name": "embedded", "title": "the embedded digits", "sha256": digests}
    return Report(folder, used, dataset, "This is not MNIST.", lessons)


def everything(number: str) -> list[NotebookNode]:
    """Cells with everything that a page can show; one of them shows a figure that the first page shows, too."""
    error = ["\x1b[31mValueError\x1b[39m: no", f"\x1b[32m{LONG}\x1b[39m"]
    printed = new_output("stream", text=LONG)
    table = {"text/html": f"<table><tr><td>{LONG}</td></tr></table>"}
    return [
        new_markdown_cell(TEXT, id=f"text-{number}"),
        new_code_cell("import math  # short", id=f"short-{number}", execution_count=1),
        new_code_cell(f"print('{LONG}')", id=f"long-{number}", execution_count=2, outputs=[printed]),
        new_code_cell(
            "figures.show()",
            id=f"figure-{number}",
            execution_count=3,
            outputs=figure(),
            metadata={"tags": ["headline-figure"]},
        ),
        new_code_cell(
            "several()",
            id=f"several-{number}",
            outputs=[
                new_output("execute_result", {"text/plain": "array([1])"}, execution_count=4),
                new_output("display_data", {"text/markdown": "Result: **9** and $x_1$"}),
                new_output("display_data", {"text/latex": "$$y^2$$", "text/plain": "y"}),
                new_output("display_data", table),
                new_output("stream", name="stderr", text="a warning"),
                new_output("error", ename="ValueError", evalue="no", traceback=error),
            ],
        ),
    ]
