"""The three ways to say a tolerance, and what is refused."""

from decimal import Decimal

import pytest

from nbval_tolerance import ToleranceError, load_tolerances
from nbval_tolerance.tolerances import Tolerance, parse_tolerance


def test_without_configuration_a_tag_has_a_tolerance():
    tolerances = load_tolerances()
    assert tolerances.tolerance("close", None) == Tolerance(Decimal("1e-8"), Decimal("1e-5"))
    assert tolerances.tolerance("trained", None).rtol > tolerances.tolerance("close", None).rtol
    assert tolerances.tolerance("exact", None) == Tolerance()
    assert tolerances.untagged is None


def test_settings_go_before_the_file(tmp_path):
    path = tmp_path / "tolerances.toml"
    path.write_text("[class.close]\nrtol = 0.1\n[class.mine]\natol = 3\n", encoding="utf-8")
    tolerances = load_tolerances(path, rtol="1e-3", classes=["close: rtol=0.2, atol=1"])
    assert tolerances.tolerance("close", None) == Tolerance(Decimal(1), Decimal("0.2"))
    assert tolerances.tolerance("mine", None) == Tolerance(Decimal(3))
    assert tolerances.tolerance("untagged", None) == Tolerance(rtol=Decimal("0.001"))


@pytest.mark.parametrize("text", ["rtol=1e-3 atol=0.5", "rtol = 1e-3, atol = 0.5", " atol=.5,rtol=0.001"])
def test_a_tolerance_in_a_line(text):
    assert parse_tolerance(text) == Tolerance(Decimal("0.5"), Decimal("0.001"))


@pytest.mark.parametrize("text", ["", "0.1", "rtol", "rtol=a", "rtol=-1", "rtol=nan", "rtol=inf", "tol=1", "rtol=1=2"])
def test_what_is_no_tolerance_is_refused(text):
    with pytest.raises(ToleranceError, match="tolerance"):
        parse_tolerance(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[figures]\nclose = 1", "'figures'"),
        ("[class.a]\nrelative = 1", "'relative'"),
        ("[class.a]\nrtol = -1", "-1"),
        ("[volatile]\ntimes = false", "'times'"),
        ("[volatile]\npatterns = ['(']", "regular expression"),
        ("[quantity.a]\nunit = 'metres'", "'metres'"),
        ("[quantity.a]\nname = 'a'", "'name'"),
        ("[quantity.a]\nmine = { atol = 1 }", "'mine'"),
        ("[quantity.a]\nclose = { absolute = 1 }", "'absolute'"),
        ("[quantity.a]\nclose = { atol = nan }", "NaN"),
        ("[quantity.a]\nunit = 'label'\nclose = { atol = 1 }", "label"),
        ("[quantity.a]\n[quantity.b]\nnames = ['A']", "'a'"),
        ("not toml", "not TOML"),
    ],
)
def test_a_wrong_file_is_refused(text, message, tmp_path):
    path = tmp_path / "tolerances.toml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(ToleranceError, match="tolerances.toml") as error:
        load_tolerances(path)
    assert message in str(error.value)


def test_a_missing_file_is_refused(tmp_path):
    with pytest.raises(ToleranceError, match="No tolerances"):
        load_tolerances(tmp_path / "none.toml")


def test_an_unknown_volatile_kind_is_refused():
    with pytest.raises(ToleranceError, match="durations"):
        load_tolerances(compared=["seconds"])
