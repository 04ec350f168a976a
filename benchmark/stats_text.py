"""What the verb ``stats`` prints: short tables, and sentences that claim no more than was found."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Record = Mapping[str, Any]
NOT_SHOWN = "That was not shown to be no difference: see what could have been found at all."


def grid(head: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """A table in aligned columns, the first to the left, the others to the right."""
    cells = [list(head), *[list(r) for r in rows]]
    wide = [max(len(row[k]) for row in cells) for k in range(len(head))]
    return [
        "  ".join(c.ljust(w) if k == 0 else c.rjust(w) for k, (c, w) in enumerate(zip(row, wide, strict=True))).rstrip()
        for row in cells
    ]  # fmt: skip


def p_text(p: float | None) -> str:
    """A p value, never as zero."""
    if p is None:
        return "-"
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def p_is(p: float) -> str:
    """A p value within a sentence."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.3f}"


def number(value: float | None, digits: int = 3) -> str:
    """A number, or a dash."""
    return "-" if value is None else f"{value:.{digits}f}"


def points(value: float | None) -> str:
    """A difference in hundredths of the metric, with its sign."""
    return "-" if value is None else f"{100 * value:+.1f}"


def percent(value: float) -> str:
    """A share."""
    return f"{100 * value:.1f} %"


def between(low: float | None, high: float | None, form: Any) -> str:
    """An interval, or nothing."""
    return "no interval" if low is None or high is None else f"{form(low)} to {form(high)}"


def runs(record: Record) -> list[str]:
    """Between runs."""
    settings = record["settings"]
    lines = grid(
        ("row", "runs", "mean", "sd", "letters"),
        [(r["row"], str(r["runs"]), number(r["mean"], 4), number(r["sd"], 4), r["letters"] or "-") for r in record["rows"]],
    )  # fmt: skip
    if record["dunn"]:
        lines.append(
            f"Rows that share a letter were not told apart (Dunn's test, {settings['correction']}, alpha "
            f"{settings['alpha']:g})."
        )
    return [*lines, "", _kruskal(record["kruskal_wallis"], "rows", settings["alpha"]),
            *_friedman(record["friedman"]), *_variance(record["variance"])]  # fmt: skip


def _kruskal(found: Record, what: str, alpha: float) -> str:
    if found["p"] is None:
        return f"Kruskal-Wallis: not computed, {found['reason']}."
    said = (
        f"the {what} are not all alike" if found["p"] < alpha
        else f"the {what} were not told apart, which does not show that they are alike"
    )  # fmt: skip
    return (
        f"Kruskal-Wallis: H = {found['statistic']:.2f}, df {found['df']}, {p_is(found['p'])} "
        f"({found['method']}), epsilon-squared {found['epsilon_squared']:.2f}: {said}."
    )


def _friedman(found: Record) -> list[str]:
    if found["p"] is None:
        return [f"Friedman: not computed, {found['reason']}."]
    ranks = ", ".join(f"{n} {r:.2f}" for n, r in sorted(found["mean_ranks"].items(), key=lambda x: x[1]))
    groups = "; ".join(", ".join(g) for g in found["cliques"]) or "none"
    return [
        f"Friedman over {found['blocks']} blocks: {p_is(found['p'])} ({found['method']}), Kendall's W "
        f"{found['kendall_w']:.2f}. Mean ranks, 1 is best: {ranks}.",
        f"Nemenyi: mean ranks closer than {found['critical_difference']:.2f} were not told apart: {groups}.",
    ]


def _variance(found: Record) -> list[str]:
    left_out = [f"{name} is left out: {why}." for name, why in found["left_out"].items()]
    if not found["components"]:
        return [f"Variance components: not computed, {found['reason']}.", *left_out]
    shares = ", ".join(f"{c['source']} {percent(c['share'])}" for c in found["components"])
    return [f"Of the spread of the values comes from: {shares}.", *left_out]


def predictions(record: Record) -> list[str]:
    """Between predictions on the same images."""
    settings, tested, lines = record["settings"], record["test_set"], []
    lines.append(
        f"{tested['images']} images of {tested['patients']} patients, {tested['runs']} run(s) a model; "
        f"{settings['metric']}, differences to '{settings['baseline']}' in points."
    )
    lines += grid(
        ("model", "value", "interval"),
        [
            (m, number(r["estimate"]), between(r["low"], r["high"], number))
            for m, r in record["models"].items()
        ],
    )
    lines += ["", *grid(
        ("model", "difference", "interval", "p", f"p ({settings['correction']})", "detectable 80 %", "95 %"),
        [_difference_row(m, v) for m, v in record["versus"].items()],
    )]  # fmt: skip
    for model, found in record["versus"].items():
        lines += [
            "",
            f"{model} against {settings['baseline']}:",
            *[f"  {s}" for s in _judged(found, settings)],
        ]
    return [*lines, *_notes(record)]


def _difference_row(model: str, found: Record) -> tuple[str, ...]:
    own, seen = found["difference"], found["detectable"]
    return (
        model, points(own["estimate"]), between(own["low"], own["high"], points), p_text(own["p"]),
        p_text(own["p_adjusted"]), points(seen["0.8"]).lstrip("+"), points(seen["0.95"]).lstrip("+"),
    )  # fmt: skip


def _judged(found: Record, settings: Record) -> list[str]:
    own, alpha = found["difference"], settings["alpha"]
    if own["p_adjusted"] < alpha:
        lines = [
            f"{'Better' if own['estimate'] > 0 else 'Worse'} by {points(abs(own['estimate'])).lstrip('+')} points."
        ]
    else:
        lines = [
            f"Not told apart. A true difference of {points(found['detectable']['0.8']).lstrip('+')} points would "
            "have been found in 80 % of such studies; smaller ones may be there."
        ]
    boot = found["bootstrap"]
    lines.append(
        f"Paired bootstrap by patient: {points(boot['difference'])} points, {between(boot['low'], boot['high'], points)}"
        + (f", {p_is(boot['p'])}." if boot["p"] is not None else f" ({boot['reason']}).")
    )
    return [
        *lines,
        *_mcnemar(found["mcnemar"]),
        *_delong(found["delong"]),
        *_equivalent(found["equivalence"]),
    ]


def _mcnemar(found: Record | None) -> list[str]:
    if found is None:
        return []
    own, seen = found["clustered"], found["detectable"]["0.8"]
    lines = [
        f"McNemar: {found['gained']} images gained, {found['lost']} lost, {p_is(found['p'])} ({found['method']}); "
        f"clustered by patient {p_is(own['p'])} ({own['method']})."
    ]
    if seen is not None:
        lines.append(
            f"With {percent(found['share'])} discordant images, McNemar's test finds a gain in accuracy of "
            f"{100 * seen:.1f} points at 80 % power."
        )
    return lines


def _delong(found: Record | None) -> list[str]:
    if found is None:
        return []
    if found["p"] is None:
        return [f"DeLong: not computed, {found['reason']}."]
    own = found["clustered"]["p"]
    return [
        f"DeLong: AUROC {found['a']['auroc']:.3f} against {found['b']['auroc']:.3f}, {p_is(found['p'])}"
        + (f"; clustered by patient {p_is(own)}." if own is not None else ".")
    ]


def _equivalent(found: Record | None) -> list[str]:
    if found is None:
        return []
    margin, rope = 100 * found["margin"], found["rope"]
    said = (
        f"Equivalent within {margin:g} points" if found["equivalent"]
        else f"Not shown to be equivalent within {margin:g} points"
    )  # fmt: skip
    return [
        f"{said} (two one-sided tests, {p_is(found['p'])}). Chance that the difference is below, within, above "
        f"the margins: {', '.join(percent(rope[k]) for k in ('below', 'within', 'above'))}."
    ]


def association(record: Record) -> list[str]:
    """Fidelity with utility."""
    rows = [
        (
            m,
            str(f["n"]),
            number(f["rho"], 2),
            between(f["low"], f["high"], lambda v: f"{v:.2f}"),
            p_text(f["p"]),
        )
        for m, f in record["measures"].items()
    ]
    lines = grid(("measure", "models", "rho", "interval", "p"), rows)
    for measure, found in record["measures"].items():
        lines.append(_associated(measure, found, record["settings"]["alpha"]))
    return [*lines, *_notes(record)]


def _associated(measure: str, found: Record, alpha: float) -> str:
    if found["p"] is None:
        return f"{measure}: not computed, {found['reason']}."
    if found["p"] >= alpha:
        return (
            f"{measure}: no association with utility was shown over {found['n']} models ({found['method']})."
        )
    return (
        f"{measure}: models with a higher value have {'higher' if found['rho'] > 0 else 'lower'} utility "
        f"({found['method']})."
    )


def power(record: Record) -> list[str]:
    """What could be found."""
    lines: list[str] = []
    if record["mcnemar"] is not None:
        lines += _power_of_counts(record["mcnemar"])
    if record["rows"]:
        lines += grid(
            ("row", "difference", "detectable 80 %", "95 %"),
            [(n, points(r["difference"]), *(points(r["detectable"][p]).lstrip("+") for p in ("0.8", "0.95")))
             for n, r in record["rows"].items()],
        )  # fmt: skip
        lines.append(
            f"In points of {record['settings']['metric']}, against '{record['settings']['baseline']}'."
        )
        lines += [_needed(n, r["needed"]) for n, r in record["rows"].items() if r["needed"]]
    return lines


def _power_of_counts(found: Record) -> list[str]:
    lines = [
        f"{found['images']} test images, {percent(found['discordant'])} of them discordant: McNemar's test finds a "
        f"difference in accuracy of "
        + ("no size at all" if seen is None else f"{100 * seen:.2f} points")
        + f" at {100 * float(level):g} % power."
        for level, seen in found["detectable"].items()
    ]
    return lines + [
        f"To find {100 * found['difference']:g} points at {100 * float(level):g} % power takes {n:,} test images."
        for level, n in found["needed"].items()
    ]


def _needed(row: str, found: Record) -> str:
    parts = [f"{found[k]:,} {k}" for k in ("runs", "patients") if found[k] is not None]
    said = f"{row}: to find {100 * found['difference']:g} points at {100 * found['power']:g} % power takes "
    said += " or ".join(parts) if parts else "more than can be had"
    return said + (f" ({found['reason']})." if found["reason"] else ".")


def _notes(record: Record) -> list[str]:
    return ["", *[f"Note: {note}" for note in record["notes"]]] if record["notes"] else []
