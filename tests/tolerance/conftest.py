"""Tolerances in round numbers, so that every expected value in these tests can be worked out from them."""

import pytest

from nbval_tolerance import load_tolerances

TOLERANCES = """
[class.close]
rtol = 0

[class.trained]
rtol = 0

[class.loose]
rtol = 0.1
atol = 2

[quantity.accuracy]
unit = "fraction"
close = { atol = 1e-5 }
trained = { atol = 0.004 }

[quantity.loss]
names = ["loss", "validation loss"]
close = { atol = 1e-5 }
trained = { atol = 0.001, rtol = 0.15 }

[quantity."error rate"]
unit = "fraction"
trained = { atol = 0.004 }

[quantity.errors]
names = ["errors", "error"]
unit = "count"
trained = { atol = 10 }

[quantity."calibration error"]
unit = "fraction"
close = { atol = 1e-5 }

[quantity.label]
names = ["epoch", "epochs", "image", "images", "test images", "interval"]
unit = "label"
"""


@pytest.fixture(scope="session")
def tolerances(tmp_path_factory):
    path = tmp_path_factory.mktemp("tolerances") / "tolerances.toml"
    path.write_text(TOLERANCES, encoding="utf-8")
    return load_tolerances(path)
