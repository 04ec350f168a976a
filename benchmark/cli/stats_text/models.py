"""Output of ``stats predictions`` and ``stats power``: models against a baseline."""

from benchmark.cli.stats_text.form import (
    Record,
    amount,
    between,
    grid,
    notes,
    number,
    size,
)
from benchmark.reporting.formats import p_equals, p_value, percent
from benchmark.utils.formatting import points

LEVELS = ("0.8", "0.95")  # of power


def predictions(record: Record) -> list[str]:
    """Format the comparison of models with a baseline."""
    settings, test_set = record["settings"], record["test_set"]
    models = [
        (m, number(r["estimate"]), between(r["low"], r["high"], number)) for m, r in record["models"].items()
    ]
    adjusted = f"p ({settings['correction']})"
    lines = [
        f"{test_set['images']} images of {test_set['patients']} patients, {test_set['runs']} run(s) a model; "
        f"{settings['metric']}, differences to '{settings['baseline']}' in points.",
        *grid(("model", "value", "interval"), models),
        "",
        *grid(
            ("model", "difference", "interval", "p", adjusted, "detectable 80 %", "95 %"),
            [_row(model, versus) for model, versus in record["versus"].items()],
        ),
    ]
    for model, versus in record["versus"].items():
        lines += ["", f"{model} against {settings['baseline']}:"]
        lines += [f"  {sentence}" for sentence in _sentences(versus, settings)]
    return [*lines, *notes(record)]


def _row(model: str, versus: Record) -> tuple[str, ...]:
    difference, detectable = versus["difference"], versus["detectable"] or {}
    return (
        model, points(difference["estimate"]), between(difference["low"], difference["high"], points),
        p_value(difference["p"]), p_value(difference["p_adjusted"]), size(detectable.get("0.8")),
        size(detectable.get("0.95")),
    )  # fmt: skip


def _sentences(versus: Record, settings: Record) -> list[str]:
    difference, boot = versus["difference"], versus["bootstrap"]
    if difference["p_adjusted"] is None:
        conclusion = f"No verdict: {difference['reason']}."
    elif difference["p_adjusted"] < settings["alpha"]:
        better = "Better" if difference["estimate"] > 0 else "Worse"
        conclusion = f"{better} by {size(difference['estimate'])} points."
    else:
        conclusion = (
            "No significant difference. Such a study detects a true difference of "
            f"{size(versus['detectable']['0.8'])} points in 80 % of cases; a smaller one is possible."
        )
    outcome = f", {p_equals(boot['p'])}" if boot["p"] is not None else f" ({boot['reason']})"
    return [
        conclusion,
        f"Paired bootstrap by patient, of these trainings: {points(boot['difference'])} points, "
        f"{between(boot['low'], boot['high'], points)}{outcome}.",
        *_mcnemar(versus["mcnemar"], settings["decision"]),
        *_delong(versus["delong"]),
        *_equivalence(versus["equivalence"]),
    ]


def _mcnemar(test: Record | None, decision: str) -> list[str]:
    if test is None:
        return []
    if test["p"] is None:
        return [f"McNemar: not computed, {test['method']}."]
    clustered, detectable = test["clustered"], test["detectable"]["0.8"]
    lines = [
        f"McNemar, predicting {decision}: {test['gained']} images gained, {test['lost']} lost, "
        f"{p_equals(test['p'])} ({test['method']}); clustered by patient {p_equals(clustered['p'])} "
        f"({clustered['method']})."
    ]
    if detectable is not None:
        lines.append(
            f"With {percent(test['share'])} discordant images, McNemar's test detects a gain in accuracy of "
            f"{100 * detectable:.1f} points at 80 % power."
        )
    return lines


def _delong(test: Record | None) -> list[str]:
    if test is None:
        return []
    if test["p"] is None:
        return [f"DeLong: not computed, {test['reason']}."]
    return [
        f"DeLong, clustered by patient: AUROC {test['a']['auroc']:.3f} against {test['b']['auroc']:.3f}, "
        f"{p_equals(test['p'])}."
    ]


def _equivalence(test: Record | None) -> list[str]:
    if test is None:
        return []
    conclusion = "Equivalent" if test["equivalent"] else "Not shown to be equivalent"
    chances = ", ".join(percent(test["rope"][k]) for k in ("below", "within", "above"))
    return [
        f"{conclusion} within {amount(test['margin'])} (two one-sided tests, {p_equals(test['p'])}). "
        f"Probability that the difference is below, within, above the margins: {chances}."
    ]


def power(record: Record) -> list[str]:
    """Format smallest detectable differences and needed sample sizes."""
    lines = [] if record["mcnemar"] is None else _mcnemar_power(record["mcnemar"])
    if record["rows"]:
        lines += grid(
            ("row", "difference", "detectable 80 %", "95 %"),
            [
                (name, points(row["difference"]), *(size((row["detectable"] or {}).get(p)) for p in LEVELS))
                for name, row in record["rows"].items()
            ],
        )
        lines += [f"{name}: no verdict, {r['reason']}." for name, r in record["rows"].items() if r["reason"]]
        settings = record["settings"]
        lines.append(f"In points of {settings['metric']}, against '{settings['baseline']}'.")
        lines += [
            _needed(name, row["needed"])
            for name, row in record["rows"].items()
            if row["needed"] and not row["reason"]
        ]
    return lines


def _mcnemar_power(test: Record) -> list[str]:
    lines = []
    for level, detectable in test["detectable"].items():
        gain = "of no size" if detectable is None else f"of {100 * detectable:.2f} points"
        lines.append(
            f"{test['images']} test images, {percent(test['discordant'])} of them discordant: McNemar's test "
            f"detects a difference in accuracy {gain} at {100 * float(level):g} % power."
        )
    return lines + [
        f"Detecting {amount(test['difference'])} at {100 * float(level):g} % power takes {n:,} test images."
        for level, n in test["needed"].items()
    ]


def _needed(row: str, needed: Record) -> str:
    numbers = [f"{needed[k]:,} {k}" for k in ("runs", "patients") if needed[k] is not None]
    takes = " or ".join(numbers) if numbers else "more than is possible"
    reason = f" ({needed['reason']})" if needed["reason"] else ""
    goal = f"{amount(needed['difference'])} at {100 * needed['power']:g} % power"
    return f"{row}: detecting {goal} takes {takes}{reason}."
