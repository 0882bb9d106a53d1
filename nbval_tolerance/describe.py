"""Say what a matplotlib figure draws: texts, and for each line, bar, scatter and image its label, look and data.

As an IPython extension it puts this beside every figure that a notebook shows, into the metadata of the output.
Descriptions are bounded: of long data 100 values are kept with their mean, of large images 8 × 8 means.
"""

import contextlib
import hashlib
from typing import Any

KEY = "nbval_tolerance"
MAX_POINTS = 100
MAX_PIXELS = 256
MAX_ARTISTS = 200


def register(ipython: Any) -> None:
    """Describe every figure that this IPython shows from now on; matplotlib is not imported for it."""
    ipython.display_formatter.mimebundle_formatter.for_type_by_name("matplotlib.figure", "Figure", _bundle)


def _bundle(figure: Any) -> tuple[dict, dict]:
    """Nothing but metadata: IPython goes on to make the picture itself."""
    with contextlib.suppress(Exception):  # an artist of an unusual kind: the figure is shown, and compared by pixels
        return {}, {KEY: describe_figure(figure)}
    return {}, {}


def describe_figure(figure: Any) -> dict[str, Any]:
    """Describe a matplotlib figure, as {"texts": [...], "axes": [...]}, ready for JSON.

    A series of numbers is a string. Nothing is drawn for it, so that the figure's pixels stay what they are.
    """
    texts = [text for part in (figure, *figure.subfigs) for text in _texts(part.texts)]
    texts += [text for legend in figure.legends for text in _texts(legend.get_texts())]
    axes = [inner for ax in figure.axes for inner in (ax, *ax.child_axes)]
    return {"texts": texts, "axes": [_axes(ax) for ax in axes if ax.get_visible()]}


def _texts(texts: Any) -> list[str]:
    return [text.get_text() for text in texts if text.get_visible() and text.get_text()]


def _axes(ax: Any) -> dict[str, Any]:
    legend = ax.get_legend()
    found = {
        "title": " ".join(filter(None, (ax.get_title(loc) for loc in ("left", "center", "right")))),
        "legend": _texts([legend.get_title(), *legend.get_texts()]) if legend else [],
        "texts": _texts(ax.texts),
    }
    for name in ("x", "y", "z") if ax.axison else ():
        if axis := getattr(ax, f"{name}axis", None):
            found[f"{name}label"] = axis.get_label_text()
            found[f"{name}scale"] = axis.get_scale()
            # Ticks that somebody has set are words of the figure; those that matplotlib chooses follow from the data.
            chosen = type(axis.get_major_locator()).__name__ in ("FixedLocator", "StrCategoryLocator")
            labels, locations = axis.get_ticklabels(), axis.get_majorticklocs()  # in this order: labels compute both
            low, high = sorted(axis.get_view_interval())
            seen = [label for label, place in zip(labels, locations, strict=False) if low <= place <= high]
            found[f"{'' if chosen else 'auto '}{name}ticks"] = " ".join(_texts(seen))
    if not hasattr(ax, "_colorbar"):  # a colour bar draws nothing but its scale
        artists = _artists(ax)
        more = [{"kind": f"{len(artists) - MAX_ARTISTS} more"}] if len(artists) > MAX_ARTISTS else []
        found["artists"] = artists[:MAX_ARTISTS] + more
    return {key: value for key, value in found.items() if value and value != "linear"}


def _artists(ax: Any) -> list[dict[str, Any]]:
    """Everything with data."""
    labels, bars = {}, []
    for container in ax.containers:  # an error bar or a bar chart, whose parts have no label of their own
        members = [part for one in container for part in (one if isinstance(one, tuple) else (one,))]
        labels |= {id(part): container.get_label() for part in members}
        bars += [container] if getattr(container, "patches", None) else []
    in_bars = {id(patch) for container in bars for patch in container.patches}
    found = [_bars(container) for container in bars]
    kinds = {_line: ax.lines, _patch: ax.patches, _collection: ax.collections, _image: ax.images}
    for describe, artists in kinds.items():
        for artist in artists:
            if artist.get_visible() and id(artist) not in in_bars:
                found.append(describe(artist, str(labels.get(id(artist)) or artist.get_label() or "")))
    return found


def _artist(kind: str, label: str, data: dict[str, Any], **look: str) -> dict[str, Any]:
    entry = {"kind": kind, "label": "" if label.startswith("_") else label, **look, "data": _series(data)}
    return {key: value for key, value in entry.items() if value not in ("", "None", {})}


def _line(line: Any, label: str) -> dict[str, Any]:
    points = line.get_data_3d() if hasattr(line, "get_data_3d") else line.get_data(orig=False)
    look = {"color": _colors([line.get_color()]), "style": str(line.get_linestyle()), "marker": str(line.get_marker())}
    return _artist("line", label, dict(zip("xyz", points, strict=False)), **look)


def _bars(container: Any) -> dict[str, Any]:
    import numpy as np

    low, high = np.swapaxes([patch.get_bbox().get_points() for patch in container.patches], 0, 1)
    along, across = (1, 0) if container.orientation == "horizontal" else (0, 1)
    data = {"xy"[along]: (low + high)[:, along] / 2, "xy"[across]: high[:, across]}
    if low[:, across].any():
        data["xy"[across] + " from"] = low[:, across]
    color = _colors(patch.get_facecolor() for patch in container.patches)
    return _artist("bars", str(container.get_label()), data, color=color)


def _patch(patch: Any, label: str) -> dict[str, Any]:
    x, y = patch.get_patch_transform().transform(patch.get_path().vertices).T
    look = {"color": _colors([patch.get_facecolor()]), "edge": _colors([patch.get_edgecolor()])}
    return _artist(type(patch).__name__.lower(), label, {"x": x, "y": y}, **look)


def _collection(collection: Any, label: str) -> dict[str, Any]:
    """A scatter, an area, error bars, contours, or a mesh."""
    import numpy as np

    kind = type(collection).__name__.lower().replace("pathcollection", "scatter")
    offsets, values = collection.get_offsets(), collection.get_array()
    data: dict[str, Any] = {}
    if kind == "scatter" or len(offsets) > 1:
        data = {"x": offsets[:, 0], "y": offsets[:, 1]}
    elif kind != "quadmesh" and (paths := [path.vertices for path in collection.get_paths() if len(path.vertices)]):
        data = dict(zip("xy", np.concatenate(paths).T, strict=True))
    if values is None:
        colors = {name: _colors(getattr(collection, f"get_{name}color")()) for name in ("face", "edge")}
        return _artist(kind, label, data, color=colors["face"], edge=colors["edge"])
    return _artist(kind, label, {**data, "values": values}, **_values_look(collection, values))


def _image(image: Any, label: str) -> dict[str, Any]:
    import numpy as np

    pixels = np.ma.filled(np.ma.asarray(image.get_array(), float), np.nan)
    scale = np.nanmax(np.abs(pixels), initial=0) or 1
    digest = hashlib.sha256(np.round(pixels / scale, 5).astype("<f8").tobytes() + b"%g" % scale).hexdigest()[:16]
    look = {**_values_look(image, pixels), "digest": digest}
    data = {"limits": image.get_clim()}
    if pixels.size > MAX_PIXELS:
        for axis in (0, 1):
            blocks = np.array_split(pixels, min(8, pixels.shape[axis]), axis=axis)
            pixels = np.stack([block.mean(axis=axis) for block in blocks], axis=axis)
    return _artist("image", label, {"values": pixels, **data}, **look)


def _values_look(mappable: Any, values: Any) -> dict[str, str]:
    """The shape of the values behind colours, how they are coloured, and what they are, as the colour bar says."""
    bar = getattr(mappable, "colorbar", None)
    meaning = (bar.ax.get_ylabel() or bar.ax.get_xlabel()) if bar else ""
    return {"shape": str(values.shape), "colormap": mappable.get_cmap().name, "values are": meaning}


def _colors(colors: Any) -> str:
    """Colours as #rrggbb, with their opacity if they have one; one if all are the same."""
    from matplotlib.colors import to_hex, to_rgba

    rgba = [to_rgba(color) for color in colors]
    found = [to_hex(color, keep_alpha=color[3] != 1) if color[3] else "" for color in rgba]
    return found[0] if len(set(found)) == 1 else " ".join(found[:MAX_POINTS])


def _series(data: dict[str, Any]) -> dict[str, str]:
    """Each series of numbers as text; of a long one, evenly spaced values, its length and its mean."""
    import numpy as np

    found = {}
    for name, values in data.items():
        values = np.ma.filled(np.ma.asarray(values, float), np.nan).ravel()
        scale = np.max(np.abs(values[np.isfinite(values)]), initial=0)
        limit = MAX_PIXELS if name == "values" else MAX_POINTS
        if len(values) > limit:
            found[f"{name} count"], found[f"{name} mean"] = str(len(values)), _number(values.mean(), scale)
            values = values[np.linspace(0, len(values) - 1, limit).astype(int)]
        found[name] = " ".join(_number(value, scale) for value in values)
    return found


def _number(value: float, scale: float) -> str:
    """Five significant digits; whole numbers in full; what is nothing but noise beside the others is 0."""
    if abs(value) < scale * 1e-12:
        return "0"
    return str(int(value)) if abs(value) < 1e15 and value == int(value) else f"{value:.5g}"
