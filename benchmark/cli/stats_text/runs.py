"""Between runs, and between figures of models."""

from __future__ import annotations

from benchmark.cli.stats_text.form import (
    Record,
    between,
    grid,
    kruskal,
    notes,
    number,
    p_is,
    p_text,
    percent,
)


def runs(record: Record) -> list[str]:
    """Between runs."""
    settings = record["settings"]
    lines = grid(
        ("row", "runs", "mean", "sd", "letters"),
        [
            (r["row"], str(r["runs"]), number(r["mean"], 4), number(r["sd"], 4), r["letters"] or "-")
            for r in record["rows"]
        ],
    )
    if record["dunn"]:
        lines.append(
            f"Rows that share a letter were not told apart (Dunn's test, {settings['correction']}, alpha "
            f"{settings['alpha']:g})."
        )
    return [*lines, "", kruskal(record["kruskal_wallis"], "rows", settings["alpha"]),
            *_friedman(record["friedman"]), *_variance(record["variance"])]  # fmt: skip


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


def figures(record: Record) -> list[str]:
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
    return [*lines, *notes(record)]


def _associated(measure: str, found: Record, alpha: float) -> str:
    if found["p"] is None:
        return f"{measure}: not computed, {found['reason']}."
    if found["p"] >= alpha:
        return (
            f"{measure}: no association with utility was shown over {found['n']} models ({found['method']})."
        )
    expected = found.get("expected_sign")
    better = "a higher value" if expected is None else "better images by it"
    same = found["rho"] > 0 if expected is None else found["rho"] * expected > 0
    return (
        f"{measure}: models with {better} have {'higher' if same else 'lower'} utility ({found['method']})."
    )
