"""The plugin in a pytest of its own: what it compares when nbval runs a notebook, and that it is harmless otherwise."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

pytest_plugins = ["pytester"]


def write(folder, cells, name="a.ipynb", kernel="python3"):
    """Write a notebook of (source, printed text, metadata) cells, as if it had been run."""
    made = []
    for count, (source, printed, metadata) in enumerate(cells, start=1):
        outputs = [new_output("stream", name="stdout", text=printed)] if printed else []
        made.append(new_code_cell(source, outputs=outputs, metadata=metadata, execution_count=count))
    notebook = new_notebook(cells=made, metadata={"kernelspec": {"name": kernel, "display_name": kernel}})
    nbformat.write(notebook, folder / name)


def run(pytester, *options, ini=""):
    pytester.makeini(f"[pytest]\n{ini}")
    return pytester.runpytest_inprocess("-p", "no:cacheprovider", "--color=no", *options)


def test_without_configuration(pytester):
    """Text to the letter, volatile parts not at all, tags within their class, cells' own tolerances; one kernel."""
    write(
        pytester.path,
        [
            ("import time; print('took 0.1 s', object())", "took 12.5 s <object object at 0x7f09>\n", {}),
            ("print('value 0.5000')", "value 0.5001\n", {}),
            ("print('value 0.500001')", "value 0.500002\n", {"tags": ["close"]}),
            ("print('value 0.51')", "value 0.50\n", {"tags": ["close"]}),
            ("# tolerance: rtol=0.1\nprint('value 0.51')", "value 0.50\n", {}),
            ("print('value 0.51')", "value 0.50\n", {"nbval_tolerance": {"atol": 0.1}}),
            ("# tolerance: about\nprint('value 0.51')", "value 0.51\n", {}),
            ("print(sorted(name for name in dir() if 'nbval' in name))", "[]\n", {}),
            ("# NBVAL_IGNORE_OUTPUT\nprint(1)", "2\n", {}),
            ("import os; print(os.path.exists('a.ipynb'))", "True\n", {}),
            ("'hidden by a semicolon';", "", {}),  # nbval alone shows it
        ],
    )
    result = run(pytester, "--nbval")
    result.assert_outcomes(passed=8, failed=3)
    text = result.stdout.str()
    assert "a.ipynb, In [2] (id" in text and "stored 0.5001, new 0.5000, difference -0.0001" in text
    assert "tolerance 5.001e-06 (close)" in text or "tolerance 5e-06 (close)" in text
    assert "'about' is no tolerance" in text


def test_every_setting(pytester):
    (pytester.path / "t.toml").write_text("[quantity.loss]\nmine = { atol = 1 }\n[class.mine]\n", encoding="utf-8")
    write(
        pytester.path,
        [
            ("print('loss 0.5')", "loss 1.1\n", {"tags": ["mine"]}),
            ("print('value 0.5')", "value 0.6\n", {"tags": ["mine"]}),  # its tolerance is set by `classes`
            ("print('value 0.5')", "value 0.52\n", {}),  # rtol of the command line, which goes before the ini file
            ("print('run-7')", "run-8\n", {}),  # volatile
            ("print('1.2 s')", "1.3 s\n", {"tags": ["close"]}),  # compared
            ("import os; print(os.listdir())", "[]\n", {}),  # workdir
            ("print('value 0.5')", "value 0.504\n", {}),
            ("print('seed 3')", "seed 4\n", {}),  # patterns of nbval's own
        ],
    )
    lines = [
        "nbval_tolerance_file = t.toml", "nbval_tolerance_classes = mine: atol=0.2", "nbval_tolerance_rtol = 0.05",
        "nbval_tolerance_volatile = run-\\d+", "nbval_tolerance_compared = durations",
        "nbval_tolerance_workdir = temporary",
    ]  # fmt: skip
    (pytester.path / "sanitize.cfg").write_text("[a]\nregex: seed \\d\nreplace: SEED\n", encoding="utf-8")
    options = ["--nbval", "--nbval-sanitize-with=sanitize.cfg", "--nbval-tolerance-rtol=0.01"]
    result = run(pytester, *options, ini="\n".join(lines))
    result.assert_outcomes(passed=6, failed=2)
    assert "In [3]" in result.stdout.str() and "tolerance 0.0052 (untagged)" in result.stdout.str()
    assert "In [5]" in result.stdout.str()


DRAW = "import matplotlib.pyplot as plt; plt.plot([1, 2], [0.5, {}], label='training'); plt.ylabel('loss');"


def test_figures_are_compared_by_what_they_draw(pytester):
    """The stored notebook is made by nbval's own kernel: run twice, the second time with another line."""
    from nbclient import NotebookClient

    load = new_code_cell("%load_ext nbval_tolerance")
    cells = [new_code_cell(DRAW.format(0.25), metadata={"tags": tags}) for tags in ([], ["trained"], ["trained"])]
    notebook = new_notebook(cells=[load, *cells])
    NotebookClient(notebook, kernel_name="python3").execute()
    del notebook.cells[0]
    for cell, y in zip(notebook.cells, (0.25, 0.2505, 0.35), strict=True):
        cell.source = DRAW.format(y)
    nbformat.write(notebook, pytester.path / "a.ipynb")
    result = run(pytester, "--nbval", ini="nbval_tolerance_pictures = shots")
    result.assert_outcomes(passed=2, failed=1)
    assert "figure, line 'training', y, value 2 of 2" in result.stdout.str()
    assert len([*(pytester.path / "shots").iterdir()]) == 3


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nbval_tolerance_file = none.toml", "No tolerances"),
        ("nbval_tolerance_rtol = much", "much"),
        ("nbval_tolerance_volatile = (", "regular expression"),
        ("nbval_tolerance_compared = times", "durations"),
    ],
)
def test_a_wrong_setting_stops_pytest_with_a_sentence(setting, message, pytester):
    write(pytester.path, [("1", "", {})])
    result = run(pytester, "--nbval", ini=setting)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    assert message in result.stderr.str() and "Traceback" not in result.stderr.str()


def test_harmless_without_nbval(pytester):
    """The settings do not trouble a pytest that runs no notebook, and nothing heavy is imported for them."""
    pytester.makepyfile(
        """
        import sys
        def test_light():
            assert "nbval_tolerance.plugin" in sys.modules
            assert not {"matplotlib", "numpy", "nbformat", "PIL"} & set(sys.modules)
        """
    )
    write(pytester.path, [("1 / 0", "", {})])
    pytester.makeini("[pytest]\nnbval_tolerance_file = none.toml")
    pytester.runpytest_subprocess("-p", "no:nbval").assert_outcomes(passed=1)


def test_a_kernel_without_the_package_still_works(pytester, monkeypatch):
    write(pytester.path, [("print(1)", "1\n", {})])
    monkeypatch.setattr("nbval_tolerance.plugin._LOAD_EXTENSION", "get_ipython().run_line_magic('load_ext', 'missing')")
    run(pytester, "--nbval").assert_outcomes(passed=1)
