"""Output of ``stats runs`` and ``stats association``."""

from __future__ import annotations

from benchmark.cli.stats_text.form import (
    Record,
    between,
    dunn,
    grid,
    kruskal,
    notes,
    number,
    p_is,
    p_text,
    percent,
    two_digits,
)


def runs(record: Record) -> list[str]:
    """Format the tests between rows."""
    settings = record["settings"]
    rows = [
        (r["row"], str(r["runs"]), number(r["mean"], 4), number(r["sd"], 4), r["letters"] or "-")
        for r in record["rows"]
    ]
    return [
        *grid(("row", "runs", "mean", "sd", "letters"), rows),
        *([dunn("Rows", settings)] if record["dunn"] else []),
        "",
        kruskal(record["kruskal_wallis"], "rows", settings["alpha"]),
        *_friedman(record["friedman"]),
        *_variance(record["variance"]),
    ]


def _friedman(test: Record) -> list[str]:
    if test["p"] is None:
        return [f"Friedman: not computed, {test['reason']}."]
    ranks = ", ".join(f"{n} {r:.2f}" for n, r in sorted(test["mean_ranks"].items(), key=lambda x: x[1]))
    groups = "; ".join(", ".join(g) for g in test["cliques"]) or "none"
    return [
        f"Friedman over {test['blocks']} blocks: {p_is(test['p'])} ({test['method']}), Kendall's W "
        f"{test['kendall_w']:.2f}. Mean ranks, 1 is best: {ranks}.",
        f"Nemenyi: groups of rows without a significant difference (mean ranks closer than "
        f"{test['critical_difference']:.2f}): {groups}.",
    ]


def _variance(variance: Record) -> list[str]:
    left_out = [f"{name} is left out: {why}." for name, why in variance["left_out"].items()]
    if not variance["components"]:
        return [f"Variance components: not computed, {variance['reason']}.", *left_out]
    shares = ", ".join(f"{c['source']} {percent(c['share'])}" for c in variance["components"])
    return [f"Shares of the variance of the values: {shares}.", *left_out]


def figures(record: Record) -> list[str]:
    """Format the correlation of fidelity with utility."""
    rows = [
        (m, str(f["n"]), number(f["rho"], 2), between(f["low"], f["high"], two_digits), p_text(f["p"]))
        for m, f in record["measures"].items()
    ]
    lines = grid(("measure", "models", "rho", "interval", "p"), rows)
    lines += [_associated(m, f, record["settings"]["alpha"]) for m, f in record["measures"].items()]
    return [*lines, *notes(record)]


def _associated(measure: str, test: Record, alpha: float) -> str:
    if test["p"] is None:
        return f"{measure}: not computed, {test['reason']}."
    if test["p"] >= alpha:
        models = f"{test['n']} models ({test['method']})"
        return f"{measure}: no significant association with utility over {models}."
    expected = test.get("expected_sign")
    better = "a higher value" if expected is None else "better images by this measure"
    direction = "higher" if test["rho"] * (expected or 1) > 0 else "lower"
    return f"{measure}: models with {better} have {direction} utility ({test['method']})."
