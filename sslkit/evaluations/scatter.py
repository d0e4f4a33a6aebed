"""Scatter: points of a plane in the colours of their classes, with a legend, as a PNG."""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float64

from sslkit.evaluations.classes import classes_of, named
from sslkit.evaluations.features import Features

# Ten colours that the colour-blind tell apart, in the order of arXiv:2107.02270. With them change markers, in threes, so that
# alike colours differ in something else, and thirty classes in one of both.
COLORS = ("#3f90da", "#ffa90e", "#bd1f01", "#94a4a2", "#832db6", "#a96b59", "#e76300", "#b9ac70", "#717581", "#92dadd")
MARKERS = ("o", "^", "s")
MOST = len(COLORS) * len(MARKERS)  # classes that can be told apart
REST = "#d9d9d9"
_LONGEST = 28  # letters of a name
_DPI = 150


class Group(NamedTuple):
    """Points that look alike: which, their name in the legend, and their look."""

    rows: Bool[np.ndarray, " n"]
    name: str
    color: str
    marker: str


def groups(features: Features) -> list[Group]:
    """A group a class, in the order of classes, and after them one for what has no class of its own.

    Those are images without a class, or of several, and where there are more than thirty classes all but the thirty with most
    images. Without labels there is one group without a name.
    """
    if features.labels is None:
        return [Group(np.ones(len(features.h), bool), "", COLORS[0], MARKERS[0])]
    sets = [classes_of(features, row) for row in range(len(features.h))]
    own = np.array([next(iter(one)) if len(one) == 1 else -1 for one in sets])
    numbers, counts = np.unique(own[own >= 0], return_counts=True)
    shown = np.sort(numbers[np.argsort(-counts, kind="stable")[:MOST]])
    rest = ~np.isin(own, shown)
    several = "of several classes or none" if features.labels.ndim > 1 else "without a class"
    name = f"{len(numbers) - MOST} more classes" if len(numbers) > MOST else several
    found = []
    for turn, number in enumerate(shown.tolist()):
        look = COLORS[turn % len(COLORS)], MARKERS[turn % len(MARKERS)]
        found.append(Group(own == number, _short(named([number], features.classes)), *look))
    return [*found, Group(rest, name, REST, MARKERS[0])] if rest.any() else found


def scatter(points: Float64[np.ndarray, "n 2"], features: Features, *, title: str) -> bytes:
    """The PNG: points in the colours of their classes, neither axis with numbers, for they mean nothing."""
    from matplotlib.figure import Figure
    from matplotlib.lines import Line2D

    figure = Figure(figsize=(8, 8))
    axes = figure.add_subplot()
    axes.set(xticks=[], yticks=[])
    axes.set_aspect("equal", adjustable="datalim")  # the frame stays square, however long the points stretch
    axes.set_title(title, fontsize=12, loc="left", parse_math=False)
    axes.spines[:].set_color("#bbbbbb")
    found = groups(features)
    size = float(np.clip(12_000 / len(points), 6, 40))
    for group in reversed(found):  # what has no class lies below
        x, y = points[group.rows].T
        axes.scatter(x, y, size, color=group.color, marker=group.marker, linewidths=0.4, edgecolors="white")
    if features.labels is not None:
        handles = [Line2D([], [], color=one.color, marker=one.marker, linestyle="", markersize=7) for one in found]
        legend = axes.legend(handles, [" "] * len(found), loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False)
        for text, group in zip(legend.get_texts(), found, strict=True):
            text.set(text=group.name, parse_math=False)  # only here, as a legend leaves out names that begin with _
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=_DPI, bbox_inches="tight", metadata={"Software": None})
    return file.getvalue()


def _short(name: str) -> str:
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 1]}…"
