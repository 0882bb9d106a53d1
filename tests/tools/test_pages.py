"""The pages of a report: what is on them, and where their links lead."""

import re

import pytest
from html_page import FINDING, PNG, Page, everything, executed_lesson, figure, small_report
from nbformat.v4 import new_code_cell, new_markdown_cell, new_output
from sample_results import HEADLINE, changed, sample_results

from digits_tools.lessons import LESSONS, NOTEBOOKS, notebook_path
from digits_tools.notebook import has_tag, read_notebook
from digits_tools.report.pages import HEADLINE_TAG, headline_figures, link_pages, shown_rows, write_index, write_pages
from digits_tools.report.verdict import verdict_rows

RESULTS = {
    **sample_results(),
    "headline": HEADLINE,
    "verdict": verdict_rows(
        changed(changed(sample_results(), 0.09, "metrics", "test_loss", "value"), None, "parameters", "used", "seed"),
        changed(sample_results(weights="ef" * 32), None, "network", "parameter_count"),
    ),
    "versions": {"keras": "3.11.2"},
    "machine": {"instruction_sets": ["AVX2", "FMA"], "logical_processors": 2},
    "git": {"commit": "0123456789abcdef" * 2, "dirty": True},
}


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """A report of lessons 04 and 05, in a folder with a blank and an umlaut."""
    report = small_report(tmp_path_factory.mktemp("pages") / "the übung")
    for lesson in report.lessons:
        executed_lesson(report, lesson, *everything(lesson.lesson.number))
    report.results = RESULTS
    write_pages(report)
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
    assert text.count("This is not MNIST.") == 1
    assert "not complete" not in text


def test_the_verdict_is_in_words(report):
    page = report.index.read_text(encoding="utf-8")
    rows = re.findall(r'<tr>\s*<th scope="row" class="quantity">.*?</tr>', page, re.DOTALL)
    cells = [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row) for row in rows]
    texts = [[re.sub(r"<[^>]*>", " ", cell).strip() for cell in row] for row in cells]
    assert [texts[0][1], texts[0][2], texts[0][5]] == ["98–99 %", "99.17 %", "ok"]
    assert "above the published range" in texts[0][0]
    assert [*texts[1][:4], texts[1][5]] == ["test loss", "–", "0.0279", "0.09", "DRIFT"]
    assert ["parameter count", "–", "–", "2,380,938", "–", "–"] in texts


def test_there_is_no_verdict_where_nothing_was_measured_and_nothing_expected():
    nothing = changed(sample_results(), None, "metrics")
    assert shown_rows({"metrics": None, "verdict": verdict_rows(nothing)}) == []
    assert len(shown_rows({"metrics": None, "verdict": verdict_rows(nothing, sample_results())})) == 13


def test_the_first_page_lists_the_lessons(report):
    page = Page(report.index)
    links = {"04_train.html", "05_evaluate.html", "notebooks/04_train.ipynb", "results.json"}
    assert links <= set(page.values("href"))
    assert "04 Train the network complete, reused from an earlier run 5:12" in squeezed(page)
    assert "05 Evaluate the network complete 5:12" in squeezed(page)
    assert "All lessons 10:24" in squeezed(page)
    assert "04 5 61.50 model.fit()" in squeezed(page)
    assert squeezed(page).index("model.fit()") < squeezed(page).index("import <this>")  # the slowest first


def test_the_first_page_says_how_it_was_made(report):
    text = squeezed(Page(report.index))
    assert "commit 0123456789ab, with changes that are not committed" in text
    assert "dataset embedded" in text
    assert "seed 3" in text
    assert "network own" in text
    assert "Trained in this report, 2,380,938 parameters." in text
    known = ("ab" * 32, "Dropout 0.25", "keras 3.11.2", "instruction sets AVX2, FMA", "logical processors 2")
    for part in known:
        assert part in text


def test_a_first_page_of_which_nothing_is_known(tmp_path):
    report = small_report(tmp_path)
    report.notice = None
    write_index(report, [], [])
    page = Page(report.index)
    assert "Lessons" in page.text
    assert "Expected and measured" not in page.text
    assert "04_train.html" not in page.values("href")  # there is no such page
    assert page.values("src", "img") == []


def test_a_report_that_is_not_complete_says_so(tmp_path):
    report = small_report(tmp_path)
    report.lessons[0].status, report.lessons[0].error = "failed", "Lesson 04 stopped in cell 3: <no>"
    report.lessons[1].status = "not run"
    executed_lesson(report, report.lessons[0], new_markdown_cell("# A\n\n[on](05_evaluate.ipynb#scores)"))
    write_pages(report)
    for path in (report.index, report.folder / "04_train.html"):
        assert "is not complete. Lesson 04 stopped in cell 3: <no>" in squeezed(Page(path))  # as text: its < is no tag
    # there is no page of 05 to go on to
    assert set(Page(report.folder / "04_train.html").values("href", "a")[1:]) == {"#A", "index.html"}
    report.lessons[0].error = None
    write_index(report, [], [])
    assert "This report is not complete. The run was interrupted, or still goes on." in squeezed(Page(report.index))


def test_the_cell_that_failed_is_marked(tmp_path):
    report = small_report(tmp_path)
    marks = (  # as papermill writes them, the first on top and the second before the cell that failed
        '<span style="color:red">An Exception was encountered at <a href="#papermill-error-cell">In [2]</a>.</span>',
        '<span id="papermill-error-cell" style="color:red">Execution stopped here:</span>',
    )
    top, mark = (new_markdown_cell(text, metadata={"tags": ["papermill-error-cell-tag"]}) for text in marks)
    executed_lesson(report, report.lessons[0], top, new_markdown_cell("# Title"), mark, new_code_cell("1 / 0"))
    write_pages(report)
    text = squeezed(Page(report.folder / "04_train.html"))
    assert "The lesson stopped in the next cell. 1 / 0" in text
    assert "Exception" not in text
    assert "color:red" not in (report.folder / "04_train.html").read_text(encoding="utf-8")


# --- Headline figures ---


def test_headline_figures_are_shown_with_their_finding_and_lead_to_their_lesson(report):
    page = Page(report.index)
    assert page.values("alt", "img") == [FINDING, FINDING]
    assert page.values("src", "img") == [f"data:image/png;base64,{PNG}"] * 2
    links = [link for link in page.values("href", "a") if "#cell-id" in link]
    assert links == ["04_train.html#cell-id=figure-04", "05_evaluate.html#cell-id=figure-05"]
    assert squeezed(page).count(f"{FINDING} From 0") == 2


def test_of_a_tagged_cell_the_first_figure_is_shown(tmp_path):
    report = small_report(tmp_path)
    cells = [
        new_code_cell("1", outputs=[new_output("stream", text="x"), *figure(width=900), *figure("second")]),
        new_code_cell("2", outputs=figure("of an untagged cell")),
        new_code_cell("3"),
    ]
    for cell in (cells[0], cells[2]):
        cell.metadata["tags"] = [HEADLINE_TAG]
    notebook = read_notebook(executed_lesson(report, report.lessons[0], *cells))
    (shown,) = headline_figures(LESSONS[3], notebook)
    assert (shown["alt"], shown["lesson"], shown["wide"]) == (FINDING, "04 Train the network", True)


def test_the_series_has_four_headline_figures():
    notebooks = [read_notebook(notebook_path(lesson, NOTEBOOKS)) for lesson in LESSONS]
    assert sum(has_tag(cell, HEADLINE_TAG) for notebook in notebooks for cell in notebook.cells) == 4


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
    assert links.count("index.html") == 4  # twice contents, README, and lesson 03, which is not in this report
    assert not [link for link in links if link.endswith(".ipynb")]


@pytest.mark.parametrize(
    ("link", "wanted"),
    [
        ("05_evaluate.ipynb#scores", "05_evaluate.html#scores"),
        ("04_train.ipynb", "index.html"),
        ("exercises/05_exercises.ipynb", "index.html"),
        ("../docs/guide.md#start", "index.html"),
        ("#top", "#top"),
        ("../LICENSE", "../LICENSE"),
        ("https://example.org/05_evaluate.ipynb", "https://example.org/05_evaluate.ipynb"),
    ],
)
def test_links_to_notebooks_lead_to_pages_or_to_the_first_page(link, wanted):
    html = '<a class="x" href="{}">a</a> href="05_evaluate.ipynb"'  # the second as in an example of HTML
    assert link_pages(html.format(link), [LESSONS[4]]) == html.format(wanted)


def test_every_link_within_the_report_leads_somewhere(report):
    for path in report.folder.glob("*.html"):
        for link in Page(path).values("href", "a"):
            target, _, anchor = link.partition("#")
            if target in ("results.json", "https://example.org") or anchor == "scores":
                continue  # the run writes results.json; no page of this report has these scores
            assert (report.folder / target).exists(), link
            if anchor:
                assert anchor in Page(report.folder / target if target else path).values("id"), link


def test_pages_have_title_language_and_landmarks(report):
    for path in report.folder.glob("*.html"):
        page = Page(path)
        assert ("html", {"lang": "en"}) in page.tags
        assert "viewport" in page.values("name", "meta")
        names = [name for name, _ in page.tags]
        assert names.count("main") == names.count("title") == 1
        assert page.values("href", "a")[0][1:] == page.values("id", "main")[0]  # the skip link
        assert len(set(page.values("aria-label", "nav"))) == names.count("nav") > 0
        levels = [int(name[1]) for name in names if re.fullmatch("h[1-6]", name)]
        assert levels[0] == levels.count(1) == 1
        assert all(after <= before + 1 for before, after in zip(levels, levels[1:], strict=False))
        # no other host is asked for anything
        assert all(address.startswith("data:") for address in page.values("src") + page.values("href", "link"))
        assert not re.search(r"@import|url\(|<script", path.read_text(encoding="utf-8")), path.name
    assert "<title>04 Train the network</title>" in (report.folder / "04_train.html").read_text(encoding="utf-8")


def test_a_figure_has_its_alternative_text_and_its_caption_once(page_04, report):
    assert page_04.values("alt", "img") == [FINDING]
    assert page_04.values("width", "img") == ["1"]
    assert page_04.text.count(FINDING) == 1
    text = (report.folder / "04_train.html").read_text(encoding="utf-8")
    assert len(text) < 30_000  # JupyterLab's own style alone has 300 kB
    assert "what it draws" not in text  # what only the check reads


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
