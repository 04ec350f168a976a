"""What the web page of a board shows beside the view: charts, notes under headers, cards of its rows."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from benchmark.reporting.leaderboards import charts, matrices, words
from benchmark.reporting.leaderboards.charts_ranks import critical_difference
from benchmark.reporting.leaderboards.compared import compared
from benchmark.reporting.leaderboards.row_card import Part, parts
from benchmark.reporting.leaderboards.trade_offs import TradeOff, against_cost, against_fidelity, seconds
from benchmark.reporting.leaderboards.view import Line, View
from benchmark.utils.formatting import plural

if TYPE_CHECKING:
    from benchmark.reporting.leaderboards.boards import Standing

STEPS = (0.02, 0.08, 0.2)  # differences, as shares, from which on a cell of a class is tinted more


@dataclass(frozen=True, eq=False)
class Sheet:
    """One board on a web page.

    Attributes:
        name: of the board; the ids of its parts begin with it.
        standings: how far each row is trusted; empty on the page of a run.
        level: of the heading that holds the question; those of its sections are one below.
    """

    view: View
    name: str
    standings: Mapping[str, Standing]
    level: int
    low: float
    high: float

    @property
    def choice(self) -> str:
        """The board's name without its task's."""
        return self.name.removeprefix(f"{self.view.head.task}-")

    @property
    def axis(self) -> Markup:
        """The axis of the forest plot."""
        return charts.forest_axis(self.low, self.high)

    def forest(self, difference: Mapping[str, Any]) -> Markup:
        """A line of the forest plot."""
        return charts.forest(difference, self.low, self.high)

    @property
    def hardware(self) -> str:
        """What the board's rows ran on, in a few words."""
        found = {_machine(e) for e in self.view.environments()}
        return found.pop() if len(found) == 1 else plural(len(found), "kind") + " of machines"

    @property
    def measure_notes(self) -> dict[str, str]:
        """The extractor of each measure, and the number of images where all rows have the same."""
        return {name: _measure_note(self.view, name) for name in self.view.measures}

    @property
    def first(self) -> dict[str, str]:
        """The order, by measure, that shows the better rows first."""
        orders = {"minimize": "ascending", "maximize": "descending"}
        measured = [line.manifest.measures for line in self.view.lines]
        return {n: orders[next(m[n].direction for m in measured if n in m)] for n in self.view.measures}

    @property
    def copies_note(self) -> str:
        """The share expected of fresh patients, where all rows have the same."""
        expected = {li.manifest.memorization.expected for li in self.view.lines if li.manifest.memorization}
        return f"expected {words.percent(expected.pop(), 0)}" if len(expected) == 1 else "share of images"

    @property
    def exempt(self) -> bool:
        """Whether a row is there that copies by definition and keeps its rank."""
        return any(line.copies and not line.gated for line in self.view.lines)

    def letters(self, line: Line) -> list[str]:
        """The letters of a row, each at its place; empty where it has not the letter of that place."""
        rows = self.view.comparison["ranking"]["rows"]
        every = sorted({letter for own in rows.values() for letter in own["letters"]})
        own = rows[line.name]["letters"]
        return [letter if letter in own else "" for letter in every]

    def equivalence(self, line: Line) -> Mapping[str, Any] | None:
        """Whether a row is shown to be no different from real_only; None for the baseline."""
        difference = self.view.difference(line)
        return difference["equivalence"] if difference else None

    def seconds(self, line: Line) -> float | None:
        """What fitting and sampling took."""
        return seconds(line)

    @property
    def panels(self) -> list[tuple[str, Markup]]:
        """A chart of change against bracket for each row with added images, where there are several."""
        return _panels(self.view)

    @property
    def ranks(self) -> Markup | None:
        """The critical-difference diagram; None where it cannot be drawn."""
        friedman = self.view.comparison["friedman"]
        return critical_difference(friedman) if friedman["reason"] is None else None

    @property
    def fidelity(self) -> list[TradeOff]:
        """Utility against fidelity."""
        return against_fidelity(self.view)

    @property
    def cost(self) -> TradeOff:
        """Utility against cost."""
        return against_cost(self.view)

    @property
    def dunn(self) -> Markup | None:
        """P values of rows against rows."""
        return matrices.dunn(self.view)

    @property
    def pairs(self) -> Markup | None:
        """Differences of rows against rows."""
        return matrices.pairs(self.view)

    @property
    def grids(self) -> list[tuple[str, str]]:
        """Name and picture of every row that has samples."""
        return [(line.name, data_uri(line.grid)) for line in self.view.lines if line.grid]

    @property
    def groups(self) -> list[dict[str, Any]]:
        """Subgroups that can be judged."""
        return [g for g in self.view.groups() if not g["too_small"]]

    @property
    def too_small(self) -> list[dict[str, Any]]:
        """Subgroups that cannot."""
        return [g for g in self.view.groups() if g["too_small"]]

    def card(self, line: Line) -> list[Part]:
        """Everything that is known about a row."""
        return parts(line, self.standings.get(line.name), compared(self.view, line))

    @staticmethod
    def tint(difference: Mapping[str, Any]) -> str:
        """The class of a cell by sign and size: ``up1`` to ``up3``, ``down1`` to ``down3``, or nothing."""
        size = sum(abs(difference["estimate"]) >= step for step in STEPS)
        return f"{'up' if difference['estimate'] > 0 else 'down'}{size}" if size else ""


def sheet(view: View, name: str, standings: Mapping[str, Standing] | None = None, level: int = 1) -> Sheet:
    """The sheet of a view; ``name`` becomes the beginning of its ids."""
    low, high = charts.bounds([d for line in view.lines if (d := view.difference(line))])
    return Sheet(view, name, standings or {}, level, low, high)


def data_uri(png: bytes) -> str:
    """A picture within a page."""
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _machine(environment: Mapping[str, Any]) -> str:
    hardware = environment["hardware"]
    named = [str(hardware[k]) for k in ("gpu", "processor") if hardware.get(k)]
    if "cores" in hardware:
        named.append(plural(hardware["cores"], "core"))
    return ", ".join([str(environment["device"]), *named])


def _measure_note(view: View, name: str) -> str:
    extractor = words.measure_title(name).partition(" (")[2].rstrip(")")
    counts = {li.manifest.measures[name].n for li in view.lines if name in li.manifest.measures}
    size = f"n {counts.pop()}" if len(counts) == 1 else ""
    return " · ".join(part for part in (extractor, size) if part)


def _panels(view: View) -> list[tuple[str, Markup]]:
    brackets = sorted(view.comparison["settings"]["brackets"])
    found = {}
    for line in view.lines:
        if line.figures and line.figures["own_bracket"] != 0:
            shown = [(b, view.figures("test", b)[line.name]) for b in brackets]
            series = [(b, d) for b, own in shown if (d := _real(own, view.metric["name"]))]
            if len(series) > 1:
                found[line.name] = series
    if not found:
        return []
    low, high = charts.bounds([d for series in found.values() for _, d in series])
    return [
        (name, charts.change(series, low, high, f"{name}: {_read_out(series)}"))
        for name, series in found.items()
    ]


def _real(figures: Mapping[str, Any], metric: str) -> Mapping[str, Any] | None:
    versus: Mapping[str, Any] = figures["versus"].get("real_only") or {}
    return versus.get(metric)


def _read_out(series: Sequence[tuple[int, Mapping[str, Any]]]) -> str:
    return "; ".join(f"+{b} images, {words.spread(d)}" for b, d in series)
