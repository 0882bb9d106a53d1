"""Turn an executed lesson into HTML: nbconvert with formulas as MathML, which browsers draw without any script.

Only `pages.write_pages` imports this module, because nbconvert takes a second to import.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
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
    r"""Convert a formula to MathML.

    Args:
        tex: the formula in TeX, without dollar signs.
        display: "inline", or "block" for a formula on lines of its own.

    Returns:
        The element `math`, or None when the formula holds something that is no formula or is not known.

    >>> mathml("x < 2")
    '<math display="inline"><mrow><mi>x</mi><mo>&#x0003C;</mo><mn>2</mn></mrow></math>'
    >>> mathml(r"\unheard x") is None
    True
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
    """Make one output of each figure and the caption after it: its alternative text again, in italics.

    Args:
        notebook: an executed notebook; it is changed.

    Returns:
        The same notebook: such a caption is no output any more, but the figure's metadata `caption`.
    """
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
    """Knows formulas from amounts in dollars, by pandoc's rule.

    The opening dollar sign stands before a character that is no blank, the closing one after such a character and not
    before a digit: in "from $5 to $10" there is no formula.
    """

    SPECIFICATION = {
        **MathInlineParser.SPECIFICATION,
        "inline_math_tex": r"(?<![$\\])\$(?![\s$])(?P<math_inline_tex>(?:\\.|[^$\\])*?)(?<!\s)\$(?![$\d])",
    }


class _Renderer(IPythonRenderer):
    """Markdown as the lessons' pages show it."""

    def inline_math(self, body: str) -> str:
        """Draw a formula in a line; one that cannot be converted stays as it was typed."""
        return mathml(body) or super().inline_math(body)

    def block_math(self, body: str) -> str:
        """Draw a formula on a line of its own, in a box that can scroll."""
        return self._formula(body) or super().block_math(body)

    def latex_environment(self, name: str, body: str) -> str:
        """Draw a formula between `begin` and `end`."""
        return self._formula(f"\\begin{{{name}}}{body}\\end{{{name}}}") or super().latex_environment(name, body)

    def _formula(self, tex: str) -> str | None:
        drawn = mathml(tex.strip(), "block")
        # A span, because the formula stands inside a paragraph
        return drawn and f'<span class="formula" role="group" aria-label="Formula" tabindex="0">{drawn}</span>'

    def heading(self, text: str, level: int, **attrs: object) -> str:
        """Give the link beside a heading a name."""
        html = super().heading(text, level, **attrs)
        return html.replace('class="anchor-link"', 'class="anchor-link" aria-label="Link to this section"')

    def table(self, text: str) -> str:
        """Put a table into a box that can scroll."""
        return scroll_box(f"<table>\n{text}</table>\n", "Table")

    def block_code(self, code: str, info: str | None = None) -> str:
        """Put an example into a box that can scroll."""
        return scroll_box(super().block_code(code, info), "Example", is_wide(code))


def scroll_box(html: str, label: str, focusable: bool = True) -> str:
    """Wrap HTML in a box that scrolls sideways, and that the keyboard reaches when it has to."""
    name = f' role="group" tabindex="0" aria-label="{escape(label)}"' if focusable else ""
    return f'<div class="scroll"{name}>{html}</div>\n'


def lesson_html(
    notebook: NotebookNode, lesson: LessonRun, links: list[tuple[str, str, str | None]], templates: Path
) -> str:
    """Turn an executed lesson into a page.

    Args:
        notebook: the executed lesson.
        lesson: how it went.
        links: where the page leads; text, address and relation of each link.
        templates: folder with the template of the page.
    """
    exporter = LessonExporter(template_file="lesson.html.j2", extra_template_paths=[str(templates)])
    resources = {"metadata": {"name": lesson.name}, "digits": {"record": lesson, "navigation": links}}
    return exporter.from_notebook_node(notebook, resources)[0]


class LessonExporter(HTMLExporter):
    """nbconvert's exporter with our Markdown, and with filters for the lesson's template."""

    @pass_context
    def markdown2html(self, context: Context, source: str) -> str:
        """Turn Markdown into HTML, formulas into MathML."""
        attachments = context.get("cell", {}).get("attachments", {})
        renderer = _Renderer(escape=False, attachments=attachments)
        return MarkdownWithMath(renderer, inline=_Inline(hard_wrap=False)).render(source)

    def default_filters(self):
        """Yield nbconvert's filters and ours."""
        yield from super().default_filters()
        yield from {"scroll_box": scroll_box, "is_wide": is_wide}.items()
