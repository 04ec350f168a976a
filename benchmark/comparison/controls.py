"""Judge whether the controls behave: a benchmark that cannot fail proves nothing."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from benchmark.comparison.aligned_rows import AlignedRows
from benchmark.comparison.records import ControlOutcome, MetricCard
from benchmark.comparison.row_records import RowFigures
from benchmark.utils.formatting import points_with_range

COPIES = "duplicate_real"  # copies by definition: gated, and exempt from it
DERIVED = (COPIES, "traditional")  # controls made from training images, ranked as references though gated
NEVER_GATED = ("oracle", "noise")


def judge_controls(aligned: AlignedRows, figures: Mapping[str, RowFigures]) -> list[ControlOutcome]:
    """Judge the controls at the primary bracket from every complete row's figures, one outcome per claim."""
    protocol = aligned.protocol
    return Controls(
        figures=figures,
        gates={row.name: row.memorization for row in aligned.complete()},
        failed=aligned.failed(),
        metric=MetricCard(**protocol.primary.record(protocol.classes[-1])),
        yardstick=protocol.yardstick,
        rebalances=protocol.rebalances,
    ).outcomes()


@dataclass(frozen=True)
class Controls:
    """The claims about the controls, and the evidence for each."""

    figures: Mapping[str, RowFigures]  # by complete row
    # memorization record by complete row, None for a row without images
    gates: Mapping[str, Mapping[str, Any] | None]
    failed: Collection[str]  # names of the failed rows
    metric: MetricCard  # the primary metric
    yardstick: str = "real_only"  # this and the next: see ``Protocol``
    rebalances: bool = False

    def outcomes(self) -> list[ControlOutcome]:
        """Judge every claim; the first decides whether the task can measure anything."""
        return [
            self._beats("oracle", self.yardstick, decisive=True),
            self._beats("oracle", COPIES, decisive=False),
            self._caught("copycat"),
            self._last("noise", decisive=not self.rebalances),
            self._spared(),
        ]

    def _absent(self, *rows: str) -> str | None:
        """The reason why a claim about these rows cannot be judged, or None."""
        row = next((r for r in rows if r not in self.figures), None)
        if row is None:
            return None
        return f"The row '{row}' failed." if row in self.failed else f"There is no row '{row}'."

    def _beats(self, row: str, base: str, *, decisive: bool) -> ControlOutcome:
        outcome = _claim(f"{row}_beats_{base}", f"{row} beats {base}, interval above zero", decisive)
        if absent := self._absent(row, base):
            return outcome(None, absent)
        difference = self.figures[row].versus[base][self.metric.name]
        if difference.low is None:
            return outcome(None, f"{row} against {base} has no interval: {difference.reason}.")
        evidence = f"{row} minus {base} is {points_with_range(difference)} of {self.metric.noun}."
        return outcome(difference.low > 0, evidence)

    def _caught(self, row: str) -> ControlOutcome:
        outcome = _claim(f"{row}_caught", f"{row} is caught by the memorization gate")
        if absent := self._absent(row):
            return outcome(None, absent)
        gate = self.gates[row]
        if gate is None:
            return outcome(None, f"The row '{row}' has no memorization figure.")
        return outcome(bool(gate["gated"]), _rate(row, gate))

    def _last(self, row: str, *, decisive: bool) -> ControlOutcome:
        outcome = _claim(f"{row}_last", f"{row} has the lowest {self.metric.noun} of all rows", decisive)
        if absent := self._absent(row):
            return outcome(None, absent)
        means = {name: f.metrics[self.metric.name].estimate for name, f in self.figures.items()}
        others = {name: mean for name, mean in means.items() if name != row}
        if not others:
            return outcome(None, "There is no other row.")
        lowest = min(others, key=lambda name: (others[name], name))
        own, least = self._value(means[row]), self._value(others[lowest])
        evidence = f"{row} has {own}, the lowest other row ({lowest}) {least}{self._against_real_only(row)}"
        if not decisive:
            evidence += (
                ". Only some classes get synthetic images, so noise changes the balance of the classes too"
            )
        return outcome(means[row] < others[lowest], f"{evidence}.")

    def _against_real_only(self, row: str) -> str:
        if "real_only" not in self.figures:
            return ""
        difference = self.figures[row].versus["real_only"][self.metric.name]
        if difference.low is None or difference.high is None:
            return f"; its difference to real_only has no interval ({difference.reason})"
        where = "not distinguishable from"
        if difference.low * difference.high > 0:
            where = "clearly below" if difference.high < 0 else "clearly above"
        return f"; it is {where} real_only ({points_with_range(difference)})"

    def _value(self, estimate: float) -> str:
        return f"{100 * estimate:.1f} %" if self.metric.percent else f"{estimate:.3f}"

    def _spared(self) -> ControlOutcome:
        spared = f"the gate spares controls that are no copies ({', '.join(NEVER_GATED)})"
        outcome = _claim("others_spared", spared)
        judged = [gate for name in NEVER_GATED if (gate := self.gates.get(name))]
        if not judged:
            return outcome(None, "None of them has a memorization figure.")
        shown = {n: g for n, g in self.gates.items() if g and n in (*NEVER_GATED, "traditional", COPIES)}
        rates = ", ".join(
            f"{n} {100 * g['rate']:.1f} %{' (gated)' if g['gated'] else ''}" for n, g in sorted(shown.items())
        )
        evidence = f"Rates: {rates}. traditional and {COPIES} derive from training images and are not judged."
        return outcome(not any(gate["gated"] for gate in judged), evidence)


def _claim(name: str, claim: str, decisive: bool = True) -> Callable[[bool | None, str], ControlOutcome]:
    """Return a function of ``held`` and ``evidence`` that gives the outcome."""
    return lambda held, evidence: ControlOutcome(
        id=name, claim=claim, held=held, evidence=evidence, decisive=decisive
    )


def _rate(row: str, gate: Mapping[str, Any]) -> str:
    low, high = gate["interval"]
    blind = " The gate was blind: it misses planted copies." if gate.get("blind") else ""
    return (
        f"{100 * gate['rate']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of the images of {row} lie nearer "
        f"to a training image than fresh patients do ({100 * gate['expected']:.1f} % expected).{blind}"
    )
