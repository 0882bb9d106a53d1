"""Turn an executed lesson into HTML: nbconvert with formulas as MathML, which browsers draw without any script.

Only `pages.write_pages` imports this module, because nbconvert takes a second to import.
"""

from __future__ import annotations

import re
from html import escape
from xml.etree import ElementTree

from jinja2 import pass_context
from jinja2.runtime import Context
from latex2mathml import converter
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath, MathInlineParser
from nbformat import NotebookNode

from digits_tools.notebook import figure_text
from digits_tools.report.record import LessonRun

NARROW = 32  # characters of code that fit on a telephone; a box with longer lines scrolls there


def mathml(tex: str, display: str = "inline") -> str | None:
    """Convert a formula in TeX to MathML; None if it is not a formula, or holds an unknown command.

    >>> mathml("x < 2")
    '<math display="inline"><mrow><mi>x</mi><mo>&#x0003C;</mo><mn>2</mn></mrow></math>'
    """
    bare = re.sub(r"\\.", "", tex)
    if bare.count("{") != bare.count("}"):
        return None  # the converter guesses what is missing
    try:
        html = converter.convert(tex, display=display)
        texts = list(ElementTree.fromstring(html).itertext())
    except Exception:  # its errors have no common base, and a formula must never cost the page
        return None
    if any("\\" in text for text in texts):
        return None  # a command that it does not know comes back as it was
    return html.replace(' xmlns="http://www.w3.org/1998/Math/MathML"', "")  # HTML knows the element by itself


def is_wide(text: str) -> bool:
    """Tell whether some line of code or output is wider than a narrow screen."""
    return any(len(line) > NARROW for line in text.splitlines())


def join_captions(notebook: NotebookNode) -> NotebookNode:
    """Turn, in place, the output that repeats a figure's alternative text in italics into its metadata `caption`."""
    for cell in notebook.cells:
        joined: list[NotebookNode] = []
        for output in cell.get("outputs", []):
            finding = figure_text(joined[-1]) if joined else None
            if finding and output.get("data", {}).get("text/markdown", "").strip() == f"*{finding}*":
                joined[-1].metadata["caption"] = finding
            else:
                joined.append(output)
        if joined:
            cell.outputs = joined
    return notebook


class _Inline(MathInlineParser):
    """Tells formulas from dollar amounts, by pandoc's rule: in "from $5 to $10" there is no formula.

    The opening dollar sign stands before a character that is not a space, the closing one after such a character and not
    before a digit.
    """

    SPECIFICATION = {
        **MathInlineParser.SPECIFICATION,
        "inline_math_tex": r"(?<![$\\])\$(?![\s$])(?P<math_inline_tex>(?:\\.|[^$\\])*?)(?<!\s)\$(?![$\d])",
    }


class _Renderer(IPythonRenderer):
    """Markdown as the lessons' pages show it; a formula that cannot be converted stays as it was typed."""

    def inline_math(self, body: str) -> str:
        return mathml(body) or super().inline_math(body)

    def block_math(self, body: str) -> str:
        return self._formula(body) or super().block_math(body)

    def latex_environment(self, name: str, body: str) -> str:
        return self._formula(f"\\begin{{{name}}}{body}\\end{{{name}}}") or super().latex_environment(name, body)

    def _formula(self, tex: str) -> str | None:
        drawn = mathml(tex.strip(), "block")
        # A span, because the formula stands inside a paragraph
        return drawn and f'<span class="formula" role="group" aria-label="Formula" tabindex="0">{drawn}</span>'

    def heading(self, text: str, level: int, **attrs: object) -> str:
        html = super().heading(text, level, **attrs)
        return html.replace('class="anchor-link"', 'class="anchor-link" aria-label="Link to this section"')

    def table(self, text: str) -> str:
        return scroll_box(f"<table>\n{text}</table>\n", "Table")

    def block_code(self, code: str, info: str | None = None) -> str:
        return scroll_box(super().block_code(code, info), "Example", is_wide(code))


def scroll_box(html: str, label: str, focusable: bool = True) -> str:
    """Wrap HTML in a box that scrolls sideways, and that the keyboard reaches when it has to."""
    name = f' role="group" tabindex="0" aria-label="{escape(label)}"' if focusable else ""
    return f'<div class="scroll"{name}>{html}</div>\n'


def lesson_html(
    notebook: NotebookNode, run: LessonRun, links: list[tuple[str, str, str | None]], templates: str
) -> str:
    """Turn an executed lesson into a page that leads to others; of each link its text, address and relation."""
    exporter = LessonExporter(template_file="lesson.html.j2", extra_template_paths=[templates])
    resources = {"metadata": {"name": run.lesson.name}, "digits": {"record": run, "navigation": links}}
    return exporter.from_notebook_node(notebook, resources)[0]


class LessonExporter(HTMLExporter):
    """nbconvert's exporter with our Markdown, and with filters for the lesson's template."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _Renderer(escape=False, attachments=attachments)
        return MarkdownWithMath(renderer, inline=_Inline(hard_wrap=False)).render(source)

    def default_filters(self):
        yield from super().default_filters()
        yield from {"scroll_box": scroll_box, "is_wide": is_wide}.items()
