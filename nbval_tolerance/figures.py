"""Compare two figures: by what their descriptions say is drawn, or by pixels."""

import base64
import difflib
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from io import BytesIO
from pathlib import Path
from typing import Any

from nbval_tolerance.numbers import Number
from nbval_tolerance.text import Check, Finding, compare_numbers, compare_text

_WHOLE = re.compile(r"-?\d+")
_FINITE = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
Description = Mapping[str, Any]  # a part of what `describe_figure` returns


def compare_figures(stored: Description, new: Description, check: Check) -> list[Finding]:
    """Compare two descriptions; one finding per text, colour, style or series that differs, named by axes and line."""
    old, fresh = stored.get("axes", []), new.get("axes", [])
    findings = _compare_words("texts", stored, new, check)
    if len(old) != len(fresh):
        return [*findings, Finding("", f"{len(old)} axes stored, {len(fresh)} new")]
    for index in range(len(old)):
        place = f"axes {index + 1}" if len(old) > 1 else ""
        findings += [found.within(place) for found in _compare_axes(old[index], fresh[index], check)]
    return findings


def _compare_words(key: str, stored: Description, new: Description, check: Check) -> list[Finding]:
    texts = [part.get(key, "") for part in (stored, new)]
    texts = [text if isinstance(text, str) else "\n".join(text) for text in texts]
    if key.startswith("auto ") and check.tolerant:  # ticks that matplotlib chose from the data: only their units count
        texts = [" ".join(sorted({re.sub(r"[\d.,e+−-]", "", word) for word in text.split()})) for text in texts]
    return [found.within(key) for found in compare_text(*texts, check)]


def _compare_axes(stored: Description, new: Description, check: Check) -> list[Finding]:
    words = [key for key in {**stored, **new} if key != "artists"]
    findings = [found for key in words for found in _compare_words(key, stored, new, check)]
    artists = [part.get("artists", []) for part in (stored, new)]
    # What two artists have in common when one can be the other's new version
    keys = [[(one["kind"], re.sub(r"\d+", "#", one.get("label", ""))) for one in side] for side in artists]
    for step, i, i_end, j, j_end in difflib.SequenceMatcher(None, *keys, autojunk=False).get_opcodes():
        old, fresh = artists[0][i:i_end], artists[1][j:j_end]
        if step == "equal" or [one["kind"] for one in old] == [one["kind"] for one in fresh]:
            for one, other in zip(old, fresh, strict=True):
                findings += [found.within(_name(one)) for found in _compare_artist(one, other, stored, check)]
            continue
        findings += [Finding("", f"{_name(artist)} is missing") for artist in old]
        findings += [Finding("", f"{_name(artist)} is additional") for artist in fresh]
    return findings


def _name(artist: Description) -> str:
    return artist["kind"] + (f" {artist['label']!r}" if "label" in artist else "")


def _compare_artist(stored: Description, new: Description, axes: Description, check: Check) -> list[Finding]:
    findings = _compare_words("label", stored, new, check)
    for key in [key for key in {**stored, **new} if key not in ("kind", "label", "data")]:
        old, fresh = stored.get(key, "none"), new.get(key, "none")
        if old != fresh and not (key == "digest" and check.tolerant):
            findings.append(Finding(key, f"stored {old}, new {fresh}"))
    data = [part.get("data", {}) for part in (stored, new)]
    for key in {**data[0], **data[1]}:
        # What the numbers are: "validation" and "loss" if line and axis say so, else what the axis, the colour bar, or
        # the title says. The places along x are named by the axis alone.
        axis, own = axes.get(f"{key[0]}label") or stored.get("values are", ""), stored.get("label", "")
        labels = [axis] if key[0] == "x" else [f"{own} {axis}", axis, axes.get("title", "")]
        series = [side.get(key, "").split() for side in data]
        if series[0] != series[1] or check.every:
            findings += [found.within(key) for found in _compare_series(*series, labels, check)]
    return findings


def _compare_series(old: list[str], new: list[str], labels: Sequence[str], check: Check) -> list[Finding]:
    """Compare two series of numbers; the finding is about the largest difference outside the tolerance."""
    if len(old) != len(new):
        cut = "; the end is missing" if old[: len(new)] == new else ""
        return [Finding("", f"{len(old)} values stored, {len(new)} new{cut}")]
    label = next((label for label in labels if check.tolerances.names_in(label)), labels[0])
    named = [one.quantity for one in check.tolerances.names_in(label)]
    quantity = next((one for one in reversed(named) if one.unit != "label"), named[-1] if named else None)
    whole = all(map(_WHOLE.fullmatch, old + new))
    found = []
    for index, pair in enumerate(zip(old, new, strict=True), start=1):
        place = f"value {index} of {len(old)}"
        if not all(map(_FINITE.fullmatch, pair)):  # nan, inf
            found.append((Decimal("inf"), Finding(place, f"stored {pair[0]}, new {pair[1]}", pair[0] == pair[1])))
            continue
        dots = ["." if _WHOLE.fullmatch(value) and not whole else "" for value in pair]  # 3 among 2.5 is not counted
        one, other = (Number(value + dot, percent="%" in label) for value, dot in zip(pair, dots, strict=True))
        # Descriptions have five significant digits, more than anybody sees: the last may differ.
        slack = abs(one.value).scaleb(-4) if check.tolerant and not whole else Decimal(0)
        found.append((abs(other.value - one.value), compare_numbers(one, other, quantity, check, slack).within(place)))
    outside = [one for one in found if not one[1].passed]
    if not outside:
        return [max(found, key=lambda one: one[0])[1]] if check.every else []
    worst = max(outside, key=lambda one: one[0])[1]
    return [Finding(worst.place, f"{worst.message}; {len(outside)} of {len(old)} values are outside")]


def compare_png(stored: str, new: str, check: Check) -> list[Finding]:
    """Compare two PNG outputs (base64) pixel by pixel."""
    try:
        from PIL import ImageChops

        old, fresh = _picture(stored), _picture(new)
    except ImportError:  # no matplotlib here: equal files are equal pictures
        return [Finding("", "the pictures differ")] if stored.strip() != new.strip() else []
    except (OSError, SyntaxError, ValueError) as error:
        return [Finding("", f"not a readable PNG: {error}")]
    if old.size != fresh.size:
        sizes = [f"{picture.width} × {picture.height}" for picture in (old, fresh)]
        return [Finding("", f"stored {sizes[0]} pixels, new {sizes[1]}")]
    difference = ImageChops.difference(old, fresh)
    box, largest = difference.getbbox(alpha_only=False), max(high for _, high in difference.getextrema())
    where = "pixels differ between columns {0} and {2}, rows {1} and {3}".format(*box or [0] * 4)
    return [Finding("", f"{where}, by up to {largest} of 255 ({check.kind})")] if box else []


def _picture(encoded: str) -> Any:
    from PIL import Image

    return Image.open(BytesIO(base64.b64decode(encoded)), formats=["PNG"]).convert("RGBA")


def write_pictures(path: Path, stored: str, new: str) -> str:
    """Write the expected, the actual and the difference picture, and say where."""
    try:
        from PIL import ImageChops

        images = {"expected": _picture(stored), "actual": _picture(new)}
        if images["expected"].size == images["actual"].size:
            # Ten times the difference, as matplotlib draws it: faint differences become visible.
            difference = ImageChops.difference(*(image.convert("RGB") for image in images.values()))
            images["difference"] = difference.point(lambda value: 10 * value)
        path.parent.mkdir(parents=True, exist_ok=True)
        for name, image in images.items():
            image.save(path.with_name(f"{path.name}-{name}.png"))
    except (ImportError, OSError, SyntaxError, ValueError) as error:
        return f"; the pictures could not be written: {error}"
    return f"; see {path}-{{{','.join(images)}}}.png"
