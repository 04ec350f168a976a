"""Common parts of all figures: size, colors, axes, and files whose bytes depend on the content alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Okabe and Ito 2008, for all kinds of color vision; later series repeat them with other marks
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKS = ("o", "s", "^", "D", "v", "P", "X")
MUTED, RULE = "#555555", "#DDDDDD"
BARS: dict[str, Any] = {"markersize": 5, "elinewidth": 1, "capsize": 2}
FORMATS = {"png": {"Software": None}, "svg": {"Date": None, "Creator": None}}  # and metadata to leave out
STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": MUTED,
    "axes.titlesize": 9,
    "axes.titlelocation": "left",
    "svg.hashsalt": "synththorax",
    "svg.fonttype": "path",
    "figure.dpi": 100,
    "savefig.dpi": 200,
}


@dataclass(frozen=True, eq=False)
class Drawn:
    """A figure with its caption and the name of its files."""

    name: str
    figure: Figure
    caption: str


def style() -> Any:
    """Return a context in which figures look the same whatever the user's settings."""
    import matplotlib

    plain: dict[Any, Any] = dict(matplotlib.rcParamsDefault)
    return matplotlib.rc_context(plain | STYLE)


def canvas(columns: int = 1, rows: int = 1, size: tuple[float, float] = (5.6, 3.6), **options: Any) -> Any:
    """Create a figure and its axes without global state; draw within ``style()``.

    Args:
        size: inches of one panel.
    Returns:
        ``(figure, axes)``, axes a (rows, columns) array.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(size[0] * columns, size[1] * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False, **options)


def look(i: int) -> dict[str, Any]:
    """Return color and mark of the i-th series."""
    return {"color": COLORS[i % len(COLORS)], "marker": MARKS[(i + i // len(COLORS)) % len(MARKS)]}


def series(
    axes: Axes, i: int, x: Sequence[float], records: Sequence[Any], label: str, scale: float = 1.0
) -> None:
    """Draw points with their intervals, joined by a line."""
    y = np.array([r.estimate for r in records]) * scale
    low, high = np.array([(r.low, r.high) for r in records], dtype=float).T * scale  # NaN: no interval
    reach = np.array([y - low, high - y])
    axes.errorbar(x, y, yerr=np.maximum(reach, 0), label=label, linewidth=1.4, **look(i), **BARS)


def legend(axes: Axes, columns: int) -> None:
    """Put the legend below the axes."""
    axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(0, -0.18), ncols=columns)


def save(drawn: Drawn, folder: Path) -> list[Path]:
    """Write the figure as PNG and SVG, without a date or a program's version."""
    paths = {kind: folder / f"{drawn.name}.{kind}" for kind in FORMATS}
    with style():
        for kind, metadata in FORMATS.items():
            drawn.figure.savefig(paths[kind], metadata=metadata)
    return list(paths.values())
