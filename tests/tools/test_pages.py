"""The pages of a report: what is on them, and where their links lead."""

import re

import pytest
from html_page import FINDING, PNG, Page, everything, executed_lesson, figure, small_report
from nbformat.v4 import new_code_cell, new_markdown_cell

from digits_helpers import files, pages
from digits_helpers.pages import KEY_FIGURES, find_figure, key_figures, link_pages, shown_rows, write_index, write_page
from digits_helpers.results import collect_results
from digits_helpers.series import LESSONS, NOTEBOOKS, LessonError, notebook_path, read_notebook, select_lessons

# Rows as `verdict.verdict_rows` makes them, whose own tests say how their numbers are written
ROW = dict.fromkeys(("published", "expected", "measured", "low", "high", "tolerance", "ok", "remark"))
VERDICT = [
    {
        **ROW,
        "quantity": "test accuracy",
        "unit": "fraction",
        "published": "98–99 %",
        "expected": 0.9924,
        "measured": 0.9917,
        "tolerance": 0.003,
        "ok": True,
        "remark": "<above>",
    },
    {
        **ROW,
        "quantity": "test loss",
        "unit": "number",
        "expected": 0.0299,
        "measured": 0.0456,
        "tolerance": 0.01,
        "ok": False,
    },
    {**ROW, "quantity": "parameter count", "unit": "count", "measured": 2380938},
    {**ROW, "quantity": "training minutes", "unit": "number", "published": "2–3"},
]
RESULTS = {
    "metrics": {"test_accuracy": {"value": 0.9917}},
    "verdict": VERDICT,
    "seconds": 624.8,
    "network": {"origin": "own", "weights_sha256": "cd" * 32, "layers": ["Dropout 0.25"], "parameter_count": 2380938},
    "versions": {"keras": "3.11.2"},
    "machine": {"instruction_sets": ["AVX2", "FMA"], "logical_processors": 2},
    "git": {"commit": "0123456789abcdef" * 2, "dirty": True},
}
IDS = {"04": "6659b0c8", "05": "5943d770"}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of lessons 04 and 05, in a folder with a blank and an umlaut."""
    report, lessons = small_report(tmp_path_factory.mktemp("pages") / "the übung")
    for lesson in lessons:
        write_page(lesson, executed_lesson(report, lesson, *everything(lesson.number, IDS[lesson.number])), report)
    write_index(report, RESULTS)
    return report


@pytest.fixture
def page_04(report):
    return Page(report.folder / "04_train.html")


def squeezed(page):
    return " ".join(page.text.split())


# --- The first page ---


def test_the_first_page_begins_with_the_result(report):
    text = squeezed(Page(report.index))
    assert "99.17 % test accuracy on the embedded digits, 95 % interval 98.97 % to 99.33 %: 83 errors of 10,000" in text
    assert "This is not MNIST: pip" in text
    assert "not complete" not in text


def test_the_verdict_is_in_words(report):
    page = report.index.read_text(encoding="utf-8")
    rows = re.findall(r'<tr>\s*<th scope="row" class="quantity">.*?</tr>', page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    assert [[re.sub(r"<[^>]*>", " ", cell).strip() for cell in row] for row in cells] == [
        ["test accuracy &lt;above&gt;", "98–99 %", "99.24 %", "99.17 %", "±0.3 %", "ok"],
        ["test loss", "–", "0.0299", "0.0456", "±0.01", "DRIFT"],
        ["parameter count", "–", "–", "2,380,938", "–", "–"],
    ]  # there is no row for the minutes, of which nothing is known


def test_there_is_no_verdict_where_nothing_was_measured_and_nothing_expected():
    known = {**ROW, "quantity": "epochs", "unit": "count", "measured": 10}
    assert shown_rows({"metrics": None, "verdict": [known]}) == []
    assert len(shown_rows({"metrics": None, "verdict": [{**known, "expected": 5, "ok": False}]})) == 1


def test_the_first_page_lists_the_lessons(report):
    page = Page(report.index)
    links = {"04_train.html", "05_evaluate.html", "notebooks/04_train.ipynb", "results.json"}
    assert links <= set(page.values("href"))
    assert "04 Train the network complete, kept from an earlier run 5:12" in squeezed(page)
    assert "05 Evaluate the network complete 5:12" in squeezed(page)
    assert "All lessons 10:24" in squeezed(page)
    assert "04 5 61.50 model.fit()" in squeezed(page)
    assert squeezed(page).index("model.fit()") < squeezed(page).index("import <this>")  # the slowest first


def test_the_first_page_says_how_it_was_made(report):
    text = squeezed(Page(report.index))
    assert "commit 0123456789ab, with changes that are not committed" in text
    assert "dataset auto embedded" in text
    assert "seed 3 3" in text
    assert "network – own" in text
    assert "Trained in this report, 2,380,938 parameters." in text
    known = ("ab" * 32, "cd" * 32, "Dropout 0.25", "keras 3.11.2", "instruction sets AVX2, FMA", "logical processors 2")
    for part in known:
        assert part in text


def test_a_first_page_of_which_nothing_is_known(tmp_path):
    report, _ = small_report(tmp_path)
    report.headline, report.notice, report.given, report.digests = None, None, {}, {}
    write_index(report, dict.fromkeys(RESULTS))
    page = Page(report.index)
    assert "Lessons" in page.text
    assert "Expected and measured" not in page.text
    assert "04_train.html" not in page.values("href")  # there is no such page
    assert page.values("src", "img") == []


def test_a_report_that_is_not_complete_says_so(tmp_path):
    report, lessons = small_report(tmp_path)
    report.lessons[0].status, report.lessons[0].error = "failed", "Lesson 04 stopped in cell 3: <no>"
    report.lessons[1].status = "not run"
    write_page(lessons[0], executed_lesson(report, lessons[0], new_markdown_cell("# Title")), report)
    write_index(report, collect_results(report))
    for path in (report.index, report.folder / "04_train.html"):
        assert "is not complete. Lesson 04 stopped in cell 3: <no>" in squeezed(Page(path))  # as text: its < is no tag
    report.lessons[0].error = None
    write_index(report, collect_results(report))
    assert "This report is not complete. The run was interrupted, or still goes on." in squeezed(Page(report.index))


def test_the_cell_that_failed_is_marked(tmp_path):
    report, lessons = small_report(tmp_path)
    marks = (  # as papermill writes them, the first on top and the second before the cell that failed
        '<span style="color:red">An Exception was encountered at <a href="#papermill-error-cell">In [2]</a>.</span>',
        '<span id="papermill-error-cell" style="color:red">Execution stopped here:</span>',
    )
    top, mark = (new_markdown_cell(text, metadata={"tags": ["papermill-error-cell-tag"]}) for text in marks)
    cells = (top, new_markdown_cell("# Title"), mark, new_code_cell("1 / 0"))
    write_page(lessons[0], executed_lesson(report, lessons[0], *cells), report)
    text = squeezed(Page(report.folder / "04_train.html"))
    assert "The lesson stopped in the next cell. 1 / 0" in text
    assert "Exception" not in text
    assert "color:red" not in (report.folder / "04_train.html").read_text(encoding="utf-8")


# --- Key figures ---


def test_key_figures_are_shown_with_their_finding_and_lead_to_their_lesson(report):
    page = Page(report.index)
    # lesson 01 is not in this report, and 05 has one of its two
    assert page.values("alt", "img") == [FINDING, FINDING]
    assert page.values("src", "img") == [f"data:image/png;base64,{PNG}"] * 2
    links = [link for link in page.values("href", "a") if "#cell-id" in link]
    assert links == ["05_evaluate.html#cell-id=5943d770", "04_train.html#cell-id=6659b0c8"]
    for link in links:
        target, _, anchor = link.partition("#")
        assert anchor in Page(report.folder / target).values("id")
    assert squeezed(page).count(f"{FINDING} From 0") == 2


def test_a_damaged_notebook_costs_its_key_figures_and_not_the_page(tmp_path):
    report, lessons = small_report(tmp_path)
    for lesson in lessons:
        executed_lesson(report, lesson, new_code_cell("1", id=IDS[lesson.number], outputs=figure(width=900)))
    (tmp_path / "notebooks" / "04_train.ipynb").write_text("{", encoding="utf-8")
    (shown,) = key_figures(report)
    assert shown.lesson == "05 Evaluate the network"
    assert shown.wide


@pytest.mark.parametrize(("number", "cell_id"), KEY_FIGURES)
def test_the_key_figures_are_in_the_stored_notebooks(number, cell_id):
    (lesson,) = select_lessons(number)
    assert find_figure(read_notebook(notebook_path(lesson, NOTEBOOKS)), cell_id)


# --- The lessons' pages ---


def test_a_page_leads_to_its_neighbours_on_top_and_bottom(page_04, report):
    links = page_04.values("href", "a")
    assert links[:3] == ["#lesson", "index.html", "05_evaluate.html"]
    assert links[-2:] == ["index.html", "05_evaluate.html"]
    assert Page(report.folder / "05_evaluate.html").values("rel", "a") == ["prev", "prev"]
    assert squeezed(page_04).count("05 Evaluate the network →") == 2  # those of the notebook are not there
    assert "03 Build the CNN" not in page_04.text


def test_links_between_notebooks_lead_to_pages(page_04):
    links = page_04.values("href", "a")
    assert "05_evaluate.html#scores" in links
    assert "https://example.org" in links
    assert links.count("index.html") == 4  # twice contents, README's table, and lesson 03, which is not in this report
    assert not [link for link in links if link.endswith(".ipynb")]


def test_link_pages_leaves_other_links():
    html = '<a href="#top">a</a> <a href="my_05_evaluate.ipynb">b</a> <a href="../LICENSE">c</a>'
    html += ' href="05_evaluate.ipynb"'  # text, as in an example of HTML
    assert link_pages(html, {"05_evaluate"}) == html


def test_links_to_a_lesson_that_did_not_run_lead_to_the_first_page_until_it_has_run(tmp_path):
    report, lessons = small_report(tmp_path)
    source = executed_lesson(report, lessons[0], new_markdown_cell("# A\n\n[on](05_evaluate.ipynb#scores)"))
    write_page(lessons[0], source, report)
    write_index(report, collect_results(report))
    assert set(Page(report.folder / "04_train.html").values("href", "a")[1:]) == {"#A", "index.html"}
    write_page(lessons[1], executed_lesson(report, lessons[1], new_markdown_cell("# B")), report)
    write_index(report, collect_results(report))
    links = Page(report.folder / "04_train.html").values("href", "a")
    ends = ["index.html", "05_evaluate.html"]
    assert links[1:] == [*ends, "#A", "05_evaluate.html#scores", *ends]


def test_every_link_within_the_report_leads_somewhere(report):
    for path in report.folder.glob("*.html"):
        for link in Page(path).values("href", "a"):
            target, _, anchor = link.partition("#")
            if target in ("results.json", "https://example.org") or anchor == "scores":
                continue  # the run writes results.json; no page of this report has these scores
            assert (report.folder / target).exists(), link
            if anchor:
                assert anchor in Page(report.folder / target if target else path).values("id"), link


def test_a_page_asks_no_other_host_for_anything(report):
    for path in report.folder.glob("*.html"):
        page = Page(path)
        loaded = page.values("src") + page.values("href", "link")
        assert all(address.startswith("data:") for address in loaded), path.name
        assert not re.search(r"@import|url\(|<script", path.read_text(encoding="utf-8")), path.name


def test_pages_have_title_language_and_landmarks(report):
    for path in report.folder.glob("*.html"):
        page = Page(path)
        assert ("html", {"lang": "en"}) in page.tags
        assert "viewport" in page.values("name", "meta")
        names = [name for name, _ in page.tags]
        assert names.count("main") == names.count("title") == 1
        assert page.values("href", "a")[0][1:] == page.values("id", "main")[0]  # the skip link
        assert len(set(page.values("aria-label", "nav"))) == names.count("nav") > 0
    assert "<title>04 Train the network</title>" in (report.folder / "04_train.html").read_text(encoding="utf-8")


def test_headings_descend_by_one_level(report):
    for path in report.folder.glob("*.html"):
        levels = [int(name[1]) for name, _ in Page(path).tags if re.fullmatch("h[1-6]", name)]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:]))


def test_a_figure_has_its_alternative_text_and_its_caption_once(page_04):
    assert page_04.values("alt", "img") == [FINDING]
    assert page_04.values("width", "img") == ["1"]
    assert page_04.text.count(FINDING) == 1


def test_formulas_are_drawn_in_cells_and_outputs(page_04):
    # title, inline, block, answer, table; in the outputs $x_1$ and $$y^2$$
    assert [name for name, _ in page_04.tags].count("math") == 7
    assert "$\\unheard{x}$" in page_04.text
    assert "from $5 to $10" in page_04.text


def test_long_lines_can_be_scrolled_with_the_keyboard_and_short_ones_are_no_stop(page_04):
    boxes = [attrs.get("aria-label") for _, attrs in page_04.tags if attrs.get("class") == "scroll"]
    assert "Code 2" in boxes
    assert "Code 1" not in boxes
    assert {"Output", "Error", "Table"} <= set(boxes)
    assert all(label for label in page_04.values("aria-label"))


def test_a_page_is_small(report):
    # JupyterLab's own style alone has 300 kB
    assert (report.folder / "04_train.html").stat().st_size < 30_000


def test_a_page_is_written_whole_or_not_at_all(report, monkeypatch):
    path = report.folder / "04_train.html"
    before = path.read_bytes(), sorted(report.folder.iterdir())

    def refuse(*_):
        raise OSError("no space left")

    monkeypatch.setattr(files.os, "replace", refuse)
    with pytest.raises(OSError, match="no space left"):
        write_page(LESSONS[3], report.folder / "notebooks" / "05_evaluate.ipynb", report)
    with pytest.raises(OSError, match="no space left"):
        write_index(report, collect_results(report))
    assert (path.read_bytes(), sorted(report.folder.iterdir())) == before


def test_a_damaged_notebook_gets_no_page(tmp_path):
    report, lessons = small_report(tmp_path)
    (tmp_path / "bad.ipynb").write_text("{", encoding="utf-8")
    with pytest.raises(LessonError, match="cannot be read"):
        write_page(lessons[0], tmp_path / "bad.ipynb", report)
    assert [path.name for path in tmp_path.iterdir()] == ["bad.ipynb"]


# --- Colours ---


def luminance(colour):
    """Relative luminance by WCAG 2.1."""
    shares = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    red, green, blue = (share / 12.92 if share <= 0.04045 else ((share + 0.055) / 1.055) ** 2.4 for share in shares)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_contrast_by_the_formula_of_wcag():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#777777", "#ffffff") == pytest.approx(4.48, abs=0.01)  # the known grey that just fails


def test_every_colour_can_be_read_on_every_ground():
    style = (pages.TEMPLATES / "style.css.j2").read_text(encoding="utf-8")
    blocks = re.findall(r":root \{(.*?)\}", style, re.DOTALL)
    schemes = [dict(re.findall(r"--([\w-]+): (#\w{6})", block)) for block in blocks]
    assert len(schemes) == 3  # light, dark, printed
    grounds = {"ground", "box", "alarm-ground", "note-ground"}
    for scheme in schemes:
        inks = scheme.keys() - grounds - {"line"}
        pairs = {(ink, ground) for ink in inks for ground in ("ground", "box")}
        pairs |= {("alarm", "alarm-ground"), ("text", "note-ground")}
        poor = {pair for pair in pairs if contrast(scheme[pair[0]], scheme[pair[1]]) < 4.5}
        assert not poor
