"""The outputs of a cell, and two whole notebooks."""

import base64
import subprocess
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from nbval_tolerance import (
    ToleranceError,
    compare_cell,
    compare_notebooks,
    comparison_class,
    join_streams,
    load_tolerances,
)

# Two PNGs of one pixel, white and black
WHITE, BLACK = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGP4DwABAQEANl9ngAAAAABJRU5ErkJggg==",
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==",
)


def stream(text, name="stdout"):
    return new_output("stream", name=name, text=text)


def shown(data, alt=None, **metadata):
    if alt is not None:
        metadata["image/png"] = {"alt": alt}
    return new_output("display_data", data=data, metadata=metadata)


def line(y):
    """The description of a figure with one line."""
    artist = {"kind": "line", "label": "training", "data": {"x": "1 2", "y": y}}
    return {"texts": [], "axes": [{"ylabel": "loss", "artists": [artist]}]}


def findings(stored, new, tolerances, kind="exact", **options):
    return [str(finding) for finding in compare_cell(stored, new, kind, tolerances, **options)]


def test_what_is_equal_or_not_compared_passes(tolerances):
    kind = "application/vnd.jupyter.widget-view+json"
    for one, other in (
        (stream("a\n"), stream("a\n")),
        (
            shown({"text/plain": "b", "image/png": WHITE}, alt="a"),
            shown({"text/plain": "b", "image/png": WHITE}, alt="a"),
        ),
        *[[new_output("execute_result", data={"text/plain": "1"}, execution_count=count) for count in (1, 7)]],
        *[[shown({kind: {"model_id": name}, "text/plain": "IntSlider(value=3)"}) for name in "ab"]],
        *[[new_output("error", ename="ValueError", evalue="no", traceback=[path]) for path in ("/a", "/b")]],
    ):
        assert findings([one], [other], tolerances) == []
    assert findings([stream("a")], [], tolerances, "ignored") == []


def test_what_is_printed_is_joined_and_folded(tolerances):
    pieces = [stream("1/2\r"), stream("!", "stderr"), stream("2/2\n")]
    assert join_streams(pieces) == [stream("2/2\n"), stream("!", "stderr")]
    assert pieces[0]["text"] == "1/2\r"  # the caller's outputs are left alone
    assert findings(pieces, [stream("!", "stderr"), stream("2/2\n")], tolerances) == []  # either may come first


def test_missing_and_additional_outputs_are_named(tolerances):
    figure, text = shown({"image/png": WHITE}), stream("printed\n")
    assert findings([text, figure], [text], tolerances) == ["output 2: missing: stored display_data image/png ''"]
    assert findings([text], [text, figure], tolerances) == ["output 2: additional: display_data image/png ''"]
    assert len(findings([text, figure], [figure, text], tolerances)) == 2  # another order
    assert "stored stream stdout 'printed'" in findings([text], [], tolerances)[0]


def test_another_error_or_another_kind_of_data_fails(tolerances):
    errors = [new_output("error", ename="ValueError", evalue=text, traceback=[]) for text in ("no", "yes")]
    assert len(findings(errors[:1], errors[1:], tolerances)) == 1
    data = [shown({"text/plain": "a"}), shown({"text/plain": "a", "text/markdown": "a"})]
    assert len(findings(data[:1], data[1:], tolerances)) == 2  # one missing, one additional


def test_an_added_warning_is_named(tolerances):
    (finding,) = findings([stream("a")], [stream("a"), stream("UserWarning: old\n", "stderr")], tolerances, "trained")
    assert "additional: stream stderr 'UserWarning: old'" in finding


@pytest.mark.parametrize("kind", ["text/plain", "text/markdown", "text/html", "text/latex"])
def test_every_text_has_tolerance(kind, tolerances):
    stored, near, far = (shown({kind: f"loss {value}"}) for value in ("0.20", "0.22", "0.26"))
    assert findings([stored], [near], tolerances, "trained") == []
    assert len(findings([stored], [near], tolerances, "exact")) == 1
    (finding,) = findings([stored], [far], tolerances, "trained")
    assert finding.startswith(f"output 1, {kind}: loss: stored 0.20, new 0.26")


def test_a_table_that_is_stored_twice_is_reported_once(tolerances):
    stored, new = (shown({"text/html": f"<td>{n}</td>", "text/plain": f"| {n}"}) for n in (1, 2))
    (finding,) = findings([stored], [new], tolerances)
    assert "text/plain" in finding
    only_html = shown({"text/html": "<td>2</td>", "text/plain": "| 1"})
    assert "text/html" in findings([stored], [only_html], tolerances)[0]


def test_json_is_compared_leaf_by_leaf(tolerances):
    stored = shown({"application/json": {"test": {"loss": 0.2, "n": 5}}})
    near = shown({"application/json": {"test": {"n": 5, "loss": 0.21}}})
    far = shown({"application/json": {"test": {"loss": 0.2, "n": 6}}})
    assert findings([stored], [near], tolerances, "trained") == []
    assert len(findings([stored], [far], tolerances, "trained")) == 1


def test_alt_text_is_compared_like_other_text(tolerances):
    stored, near, other = (shown({"image/png": WHITE}, alt=alt) for alt in ("loss 0.20", "loss 0.21", "Loss 0.20"))
    assert findings([stored], [near], tolerances, "trained") == []
    assert "alt text of image/png" in findings([stored], [near], tolerances, "exact")[0]
    assert len(findings([stored], [other], tolerances, "trained")) == 1
    assert len(findings([stored], [shown({"image/png": WHITE})], tolerances, "trained")) == 1


# Figures: what is drawn, pixels, or both


def test_an_exact_figure_is_equal_in_pixels_and_in_what_it_draws(tolerances):
    stored = shown({"image/png": WHITE}, nbval_tolerance=line("1 0.5"))
    (finding,) = findings([stored], [shown({"image/png": BLACK}, nbval_tolerance=line("1 0.5"))], tolerances)
    assert "image/png: pixels differ" in finding
    (finding,) = findings([stored], [shown({"image/png": WHITE}, nbval_tolerance=line("1 0.4"))], tolerances)
    assert "figure, line 'training', y, value 2 of 2: loss: stored 0.5, new 0.4" in finding


def test_a_tolerant_figure_is_compared_by_what_it_draws(tolerances):
    stored = shown({"image/png": WHITE}, nbval_tolerance=line("1.1 0.5"))
    near, far = (shown({"image/png": BLACK}, nbval_tolerance=line(f"1.1 {y}")) for y in (0.51, 0.6))
    assert findings([stored], [near], tolerances, "trained") == []
    assert len(findings([stored], [far], tolerances, "trained")) == 1


@pytest.mark.parametrize(
    ("missing", "named"), [((0,), "the stored figure"), ((1,), "the new figure"), ((0, 1), "the new")]
)
def test_without_a_description_pixels_are_compared(missing, named, tolerances):
    pair = [shown({"image/png": picture}, nbval_tolerance=line("1 0.5")) for picture in (WHITE, BLACK)]
    for index in missing:
        pair[index].metadata = {}
    (finding,) = findings(pair[:1], pair[1:], tolerances, "trained")
    assert "pixels differ" in finding and named in finding
    pair[1].data = pair[0].data
    assert findings(pair[:1], pair[1:], tolerances, "trained") == []


def test_svg_has_random_names_and_is_compared_by_its_description_alone(tolerances):
    described = [shown({"image/svg+xml": f"<svg id='{name}'/>"}, nbval_tolerance=line("1 2")) for name in "ab"]
    assert findings(described[:1], described[1:], tolerances) == []
    bare = [shown({"image/svg+xml": f"<svg id='{name}'/>"}) for name in "ab"]
    assert len(findings(bare[:1], bare[1:], tolerances)) == 1


def test_pictures_are_named_after_the_output(tolerances, tmp_path):
    stored, new = (shown({"image/png": picture}) for picture in (WHITE, BLACK))
    (finding,) = findings([stream("a"), stored], [stream("a"), new], tolerances, pictures=tmp_path / "04-cell")
    written = tmp_path / "04-cell-output2-expected.png"
    assert written.is_file() and str(tmp_path / "04-cell-output2") in finding
    assert base64.b64decode(WHITE) and len(list(tmp_path.iterdir())) == 3


# The class of a cell


@pytest.mark.parametrize(
    ("source", "metadata", "expected"),
    [
        ("", {}, "exact"),
        ("", {"tags": ["close"]}, "close"),
        ("", {"tags": ["trained", "other"]}, "trained"),
        ("", {"tags": ["loose"]}, "loose"),
        ("", {"tags": ["machine", "nbval-ignore-output"]}, "ignored"),
        ("# NBVAL_IGNORE_OUTPUT\nx", {}, "ignored"),
        ("", {"nbval_tolerance": {"rtol": 1e-3}}, "rtol=0.001"),
        ("", {"nbval_tolerance": {"rtol": 1e-3, "atol": 2}, "tags": ["close"]}, "rtol=0.001 atol=2"),
        ("x\n  # tolerance: rtol=1e-3, atol=2\ny", {}, "rtol=1e-3, atol=2"),
        ("x = '# tolerance: rtol=1'", {}, "exact"),
    ],
)
def test_tags_metadata_and_comments_give_the_class(source, metadata, expected, tolerances):
    assert comparison_class(new_code_cell(source, metadata=metadata), tolerances) == expected


def test_cells_without_a_tag_may_have_a_tolerance():
    cell = new_code_cell("", outputs=[stream("0.1000")])
    assert comparison_class(cell, load_tolerances(rtol="0.1")) == "untagged"
    assert findings([stream("0.100")], [stream("0.101")], load_tolerances(rtol="0.1"), "untagged") == []


@pytest.mark.parametrize(
    ("source", "metadata", "message"),
    [
        ("", {"tags": ["trained", "close"]}, "trained and close"),
        ("# tolerance: about", {}, "about"),
        ("", {"nbval_tolerance": {"reltol": 1}}, "reltol"),
        ("", {"nbval_tolerance": 3}, "3"),
    ],
)
def test_a_wrong_class_is_refused(source, metadata, message):
    with pytest.raises(ToleranceError, match=message):
        comparison_class(new_code_cell(source, metadata=metadata))


# Two notebooks


def notebook():
    trained = {"tags": ["trained"]}
    cells = [
        new_markdown_cell("# Title", id="title"),
        new_code_cell("epochs = 1", id="parameters", execution_count=1),
        new_code_cell("print(1)", id="one", execution_count=2, outputs=[stream("1\n")]),
        new_code_cell("loss()", id="loss", execution_count=3, outputs=[stream("loss 0.20\n")], metadata=trained),
    ]
    return new_notebook(cells=cells)


def compared(tmp_path, tolerances, change, **options):
    """The findings for a notebook and its copy after `change(copy)`."""
    stored, new = notebook(), notebook()
    change(new)
    for name, content in (("stored.ipynb", stored), ("new.ipynb", new)):
        nbformat.write(content, tmp_path / name)
    return [*map(str, compare_notebooks(tmp_path / "stored.ipynb", tmp_path / "new.ipynb", tolerances, **options))]


def test_the_classes_of_notebooks_are_honoured(tmp_path, tolerances):
    def near(new):
        new.cells[3].outputs = [stream("loss 0.21\n")]

    def far(new):
        new.cells[3].outputs = [stream("loss 0.41\n")]

    assert compared(tmp_path, tolerances, near) == []
    (finding,) = compared(tmp_path, tolerances, far)
    assert finding.startswith("stored.ipynb, In [3] (id loss), output 1, stdout, line 1: loss: stored 0.20, new 0.41")
    assert len(compared(tmp_path, tolerances, near, every=True)) == 2


def test_injected_parameters_are_left_out(tmp_path, tolerances):
    def inject(new):
        new.cells.insert(2, new_code_cell("epochs = 3", id="new", metadata={"tags": ["injected-parameters"]}))

    assert compared(tmp_path, tolerances, inject) == []


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda new: new.cells.pop(2), "In [2] (id one): cell is missing"),
        (lambda new: new.cells.append(new_markdown_cell("x", id="x")), "text cell (id x): additional cell"),
        (lambda new: new.cells.reverse(), "stored.ipynb: the cells are in another order"),
        (lambda new: new.cells[2].update(source="print(2)"), "stored 'code cell: print(1)', new 'code cell: print(2)'"),
        (lambda new: new.cells[2].metadata.update(tags=["close"]), "tags: stored as exact, new as close"),
        (
            lambda new: new.cells[0].update(source="# Name"),
            "stored 'markdown cell: # Title', new 'markdown cell: # Name'",
        ),
        (
            lambda new: new.cells.__setitem__(0, new_code_cell("# Title", id="title")),
            "stored 'markdown cell: # Title', new 'code cell: # Title'",
        ),
    ],
)
def test_cells_that_differ_are_named(change, expected, tmp_path, tolerances):
    (finding,) = compared(tmp_path, tolerances, change)
    assert expected in finding


def test_cells_without_ids_or_with_made_up_ones_are_compared_by_position(tmp_path, tolerances):
    def change(new):
        for index, cell in enumerate(new.cells):
            cell.id = f"new-{index}"
        new.cells[2].outputs = [stream("2\n")]

    (finding,) = compared(tmp_path, tolerances, change)
    assert "(id one)" in finding
    old = notebook()
    old.nbformat_minor = 4
    for cell in old.cells:
        del cell["id"]
    nbformat.write(old, tmp_path / "old.ipynb")
    assert compare_notebooks(tmp_path / "old.ipynb", tmp_path / "old.ipynb", tolerances) == []


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"cells": 3}', "\0"])
def test_what_is_no_notebook_is_refused(content, tmp_path, tolerances):
    path = tmp_path / "a.ipynb"
    if content is not None:
        path.write_text(content, encoding="utf-8")
    with pytest.raises(ToleranceError, match="executed .ipynb file"):
        compare_notebooks(path, path, tolerances)


def test_the_import_is_light():
    heavy = ("numpy", "PIL", "matplotlib", "nbformat", "IPython", "nbval", "tensorflow")
    code = f"import sys, nbval_tolerance.plugin; print(*(name for name in {heavy} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []
