"""Did the controls behave? A benchmark that cannot fail proves nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

Figures = Mapping[str, Mapping[str, Any]]
COPIES = "duplicate_real"  # copies by definition: gated, and exempt from it
NEVER_GATED = ("oracle", "noise")


def points(value: float, digits: int = 1) -> str:
    """A difference of a metric in points (hundredths), with its sign: ``+3.2``."""
    text = f"{100 * value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def spread(interval: Mapping[str, Any]) -> str:
    """A difference with its interval, in points: ``+3.2 points [+1.0, +5.4]``."""
    return f"{points(interval['estimate'])} points [{points(interval['low'])}, {points(interval['high'])}]"


def value(estimate: float, metric: Mapping[str, Any]) -> str:
    """A metric's value as pages show it: in percent, or with three decimals."""
    return f"{100 * estimate:.1f} %" if metric["percent"] else f"{estimate:.3f}"


def behaved(
    figures: Figures,
    gates: Mapping[str, Mapping[str, Any] | None],
    failed: Mapping[str, str],
    metric: Mapping[str, Any],
    yardstick: str = "real_only",
    rebalances: bool = False,
) -> list[dict[str, Any]]:
    """Judge the controls at the primary bracket.

    Args:
        figures: by complete row, the primary metric and ``versus`` (see ``study``).
        gates: the memorization record by complete row, None for a row without images.
        failed: the error by failed row.
        metric: ``name``, ``noun`` and ``percent`` of the primary metric.
        yardstick: the row that ``oracle`` must beat, see ``rows.Protocol``.
        rebalances: synthetic images change how often a class is seen, so that ``noise`` may help and its
            rank is for information.
    Returns:
        One record per claim: ``id``, ``claim``, ``held`` (True, False, or None where it cannot be judged
        or is for information), ``evidence`` in one sentence, and ``decisive`` for those that must hold.
    """
    return [
        _beats("oracle", yardstick, figures, failed, metric, decisive=True),
        _beats("oracle", COPIES, figures, failed, metric, decisive=False),
        _caught("copycat", gates, failed),
        _last("noise", figures, failed, metric, decisive=not rebalances),
        _spared(gates),
    ]


def _claim(id_: str, claim: str, held: bool | None, evidence: str, decisive: bool = True) -> dict[str, Any]:
    return {"id": id_, "claim": claim, "held": held, "evidence": evidence, "decisive": decisive}


def _absent(name: str, failed: Mapping[str, str]) -> str:
    return f"The row '{name}' failed." if name in failed else f"There is no row '{name}'."


def _beats(
    row: str,
    base: str,
    figures: Figures,
    failed: Mapping[str, str],
    metric: Mapping[str, Any],
    *,
    decisive: bool,
) -> dict[str, Any]:
    id_, claim = f"{row}_beats_{base}", f"{row} beats {base}, interval above zero"
    for name in (row, base):
        if name not in figures:
            return _claim(id_, claim, None, _absent(name, failed), decisive)
    difference = figures[row]["versus"][base][metric["name"]]
    evidence = f"{row} minus {base} is {spread(difference)} of {metric['noun']}."
    return _claim(id_, claim, difference["low"] > 0, evidence, decisive)


def _caught(
    row: str, gates: Mapping[str, Mapping[str, Any] | None], failed: Mapping[str, str]
) -> dict[str, Any]:
    id_, claim = f"{row}_caught", f"{row} is caught by the memorization gate"
    if row not in gates:
        return _claim(id_, claim, None, _absent(row, failed))
    gate = gates[row]
    if gate is None:
        return _claim(id_, claim, None, f"The row '{row}' has no memorization figure.")
    return _claim(id_, claim, bool(gate["gated"]), _rate(row, gate))


def _rate(row: str, gate: Mapping[str, Any]) -> str:
    low, high = gate["interval"]
    blind = " The gate was blind: it misses planted copies." if gate.get("blind") else ""
    return (
        f"{100 * gate['rate']:.1f} % [{100 * low:.1f}, {100 * high:.1f}] of the images of {row} lie nearer "
        f"to a training image than fresh patients do ({100 * gate['expected']:.1f} % expected).{blind}"
    )


def _last(
    row: str, figures: Figures, failed: Mapping[str, str], metric: Mapping[str, Any], *, decisive: bool
) -> dict[str, Any]:
    id_, claim = f"{row}_last", f"{row} has the lowest {metric['noun']} of all rows"
    if row not in figures:
        return _claim(id_, claim, None, _absent(row, failed), decisive)
    means = {name: f[metric["name"]]["estimate"] for name, f in figures.items()}
    others = {name: mean for name, mean in means.items() if name != row}
    if not others:
        return _claim(id_, claim, None, "There is no other row.", decisive)
    lowest = min(others, key=lambda name: (others[name], name))
    own, least = value(means[row], metric), value(others[lowest], metric)
    evidence = f"{row} has {own}, the lowest other row ({lowest}) {least}"
    if "real_only" in figures:
        difference = figures[row]["versus"]["real_only"][metric["name"]]
        where = "not distinguishable from"
        if difference["low"] * difference["high"] > 0:
            where = "clearly below" if difference["high"] < 0 else "clearly above"
        evidence += f"; it is {where} real_only ({spread(difference)})"
    if not decisive:
        evidence += (
            ". Only some classes get synthetic images, so noise changes the balance of the classes too"
        )
    return _claim(id_, claim, means[row] < others[lowest], evidence + ".", decisive)


def _spared(gates: Mapping[str, Mapping[str, Any] | None]) -> dict[str, Any]:
    judged = {name: gates[name] for name in NEVER_GATED if gates.get(name)}
    claim = "the gate spares controls that are no copies (" + ", ".join(NEVER_GATED) + ")"
    if not judged:
        return _claim("others_spared", claim, None, "None of them has a memorization figure.")
    shown = {n: g for n, g in gates.items() if g and n in (*NEVER_GATED, "traditional", COPIES)}
    rates = ", ".join(
        f"{n} {100 * g['rate']:.1f} %{' (gated)' if g['gated'] else ''}" for n, g in sorted(shown.items())
    )
    evidence = f"Rates: {rates}. traditional and {COPIES} derive from training images and are not judged."
    return _claim("others_spared", claim, not any(g["gated"] for g in judged.values() if g), evidence)
