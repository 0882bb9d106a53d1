"""A lesson as HTML: formulas, boxes that scroll, captions."""

import pytest
from html_page import FINDING, figure
from nbformat.v4 import new_code_cell, new_notebook, new_output

from digits_tools.report.exporter import LessonExporter, is_wide, join_captions, mathml, scroll_box


def html(markdown):
    return LessonExporter().markdown2html({}, markdown)


@pytest.mark.parametrize("tex", ["x^2", r"\frac{a}{b}", r"\begin{align*} a &= b \\ c &= d \end{align*}", r"\{ 1 \}"])
def test_formulas_become_mathml(tex):
    drawn = mathml(tex)
    assert drawn.startswith('<math display="inline">')
    assert "\\" not in drawn


@pytest.mark.parametrize("tex", ["", "a_", "x^2^3", r"\frac{a", "}", r"\unheard{x}", r"\begin{align} a"])
def test_what_is_no_formula_is_not_converted(tex):
    assert mathml(tex) is None


def test_the_fraction_of_softmax():
    # the formula of lesson 03: a fraction of an exponential and a sum of exponentials
    drawn = html(r"$$p_k = \frac{e^{z_k}}{\sum_j e^{z_j}}$$")
    assert '<math display="block">' in drawn
    assert drawn.count("<mfrac>") == 1
    assert drawn.count("<msup>") == 2
    assert 'tabindex="0"' in drawn
    assert "$" not in drawn


def test_formulas_in_a_line():
    assert html("is $a < b$?") == (
        '<p>is <math display="inline"><mrow><mi>a</mi><mo>&#x0003C;</mo><mi>b</mi></mrow></math>?</p>\n'
    )
    heading = html("# Of $x$")
    assert heading.startswith('<h1 id="Of-x">Of <math display="inline">')
    assert 'aria-label="Link to this section"' in heading


AMOUNTS = ["from $5 to $10", "$5–$10", "US$5 or A$6", "about $ 7$", r"\$5 and \$6"]
CODE = ["`$x$` and `$$y$$`", "```\n$x$\n```", "    $$x$$"]


@pytest.mark.parametrize("text", AMOUNTS + CODE)
def test_amounts_and_code_are_no_formulas(text):
    assert "<math" not in html(text)
    assert "$" in html(text)


def test_a_formula_that_cannot_be_converted_stays_readable():
    assert html(r"So $\unheard{x} < 1$.") == "<p>So $\\unheard{x} &lt; 1$.</p>\n"
    assert "$$a_$$" in html("$$a_$$")
    assert r"\begin{align}\unheard\end{align}" in html(r"\begin{align}\unheard\end{align}")
    assert html("\\begin{align*}\na &= b \\\\\nc &= d\n\\end{align*}").count("<mtr>") == 2


def test_tables_and_examples_scroll_and_can_be_focused():
    table = html("| a |\n| --- |\n| 1 |")
    assert table.startswith('<div class="scroll" role="group" tabindex="0" aria-label="Table"><table>')
    assert html("```python\nx\n```").startswith('<div class="scroll"><div class="highlight">')
    assert 'tabindex="0"' in html(f"```python\n{'x' * 33}\n```")

    # a box is focusable only when it can scroll
    assert scroll_box("x", "Code 1", False) == '<div class="scroll">x</div>\n'
    assert ' role="group" tabindex="0" aria-label="A &quot;b&quot;">x</div>' in scroll_box("x", 'A "b"')
    assert not is_wide("x" * 32 + "\n" + "y" * 32)
    assert is_wide("x\n" + "y" * 33)


def test_figure_and_caption_become_one():
    other = new_output("display_data", {"text/markdown": "*another remark*"})
    cells = [new_code_cell("1", outputs=[*figure(), other]), new_code_cell("2", outputs=[figure()[0], other])]
    first, second, *_ = (cell.outputs for cell in join_captions(new_notebook(cells=cells)).cells)
    assert first[0].metadata.caption == FINDING
    assert first[1:] == second[1:] == [other]
    assert "caption" not in second[0].metadata
