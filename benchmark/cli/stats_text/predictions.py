"""Between predictions on the same images."""

from __future__ import annotations

from benchmark.cli.stats_text.form import (
    Record,
    amount,
    between,
    grid,
    notes,
    number,
    p_is,
    p_text,
    percent,
    points,
    size,
)


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
    return [*lines, *notes(record)]


def _difference_row(model: str, found: Record) -> tuple[str, ...]:
    own, seen = found["difference"], found["detectable"]
    return (
        model, points(own["estimate"]), between(own["low"], own["high"], points), p_text(own["p"]),
        p_text(own["p_adjusted"]), size(seen["0.8"]), size(seen["0.95"]),
    )  # fmt: skip


def _judged(found: Record, settings: Record) -> list[str]:
    own, alpha = found["difference"], settings["alpha"]
    if own["p_adjusted"] < alpha:
        lines = [f"{'Better' if own['estimate'] > 0 else 'Worse'} by {size(own['estimate'])} points."]
    else:
        lines = [
            f"Not told apart. A true difference of {size(found['detectable']['0.8'])} points would have been "
            "found in 80 % of such studies; smaller ones may be there."
        ]
    boot = found["bootstrap"]
    judged = f", {p_is(boot['p'])}." if boot["p"] is not None else f" ({boot['reason']})."
    limits = between(boot["low"], boot["high"], points)
    apart = points(boot["difference"])
    lines.append(f"Paired bootstrap by patient, of these trainings: {apart} points, {limits}{judged}")
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
        f"McNemar: {found['gained']} images gained, {found['lost']} lost, {p_is(found['p'])} "
        f"({found['method']}); clustered by patient {p_is(own['p'])} ({own['method']})."
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
    return [
        f"DeLong, clustered by patient: AUROC {found['a']['auroc']:.3f} against {found['b']['auroc']:.3f}, "
        f"{p_is(found['p'])}."
    ]


def _equivalent(found: Record | None) -> list[str]:
    if found is None:
        return []
    margin, rope = amount(found["margin"]), found["rope"]
    said = (
        f"Equivalent within {margin}" if found["equivalent"]
        else f"Not shown to be equivalent within {margin}"
    )  # fmt: skip
    return [
        f"{said} (two one-sided tests, {p_is(found['p'])}). Chance that the difference is below, within, "
        f"above the margins: {', '.join(percent(rope[k]) for k in ('below', 'within', 'above'))}."
    ]
