"""The command that compares two executed notebooks."""

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from nbval_tolerance.__main__ import main


@pytest.fixture
def pair(tmp_path):
    for name, value in (("stored", "0.1000"), ("new", "0.1004")):
        output = new_output("stream", name="stdout", text=f"loss {value} took {value} s\n")
        cell = new_code_cell("print()", id="one", execution_count=1, outputs=[output])
        nbformat.write(new_notebook(cells=[cell]), tmp_path / f"{name}.ipynb")
    return str(tmp_path / "stored.ipynb"), str(tmp_path / "new.ipynb")


def test_equal_notebooks(pair, capsys):
    assert main([pair[0], pair[0]]) == 0
    assert "No difference" in capsys.readouterr().out


def test_one_line_per_number_outside(pair, capsys):
    assert main([*pair]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and "stored 0.1000, new 0.1004, difference +0.0004" in lines[0]


def test_tolerances_may_be_given(pair, tmp_path):
    assert main([*pair, "--rtol", "0.01"]) == 0
    assert main([*pair, "--atol", "0.0001"]) == 1
    assert main([*pair, "--volatile", r"loss \S+"]) == 0
    (tmp_path / "t.toml").write_text("[quantity.loss]\nuntagged = { atol = 0.01 }\n", encoding="utf-8")
    assert main([*pair, "--tolerances", str(tmp_path / "t.toml"), "--rtol", "0"]) == 0


def test_the_table_lists_every_number(pair, capsys):
    assert main([*pair, "--rtol", "0.01", "--table"]) == 0
    assert capsys.readouterr().out.startswith("ok      stored.ipynb, In [1]")


def test_what_cannot_be_compared_is_said_in_a_sentence(pair, capsys):
    assert main([pair[0], "none.ipynb"]) == 2
    assert main([*pair, "--rtol", "much"]) == 2
    assert capsys.readouterr().err.count("nbval-tolerance: ") == 2
