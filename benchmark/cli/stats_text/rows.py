"""Output of ``stats runs``, ``stats association`` and ``stats readers``: groups of rows."""

from benchmark.cli.stats_text.form import (
    Record,
    between,
    dunn,
    grid,
    kruskal,
    notes,
    number,
    two_digits,
)
from benchmark.reporting.formats import p_equals, p_value, percent


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
        f"Friedman over {test['blocks']} blocks: {p_equals(test['p'])} ({test['method']}), Kendall's W "
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
        (m, str(f["n"]), number(f["rho"], 2), between(f["low"], f["high"], two_digits), p_value(f["p"]))
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


def readers(record: Record) -> list[str]:
    """Format the analysis of a reader study."""
    study = record["study"]
    models = ", ".join(f"{m} {n}" for m, n in study["models"].items())
    lines = [f"{len(study['readers'])} reader(s); images: {models}."]
    for question, scores in record["scores"].items():
        lines += ["", *_scores(question, scores, record["settings"])]
    if record["realism"] is not None:
        lines += ["", *_realism(record["realism"], record["settings"]["alpha"])]
    if record["pairs"]:
        lines += ["", *_pairs(record["pairs"])]
    if record["acceptance"]:
        lines += ["", *_acceptance(record["acceptance"])]
    return [*lines, "", *_agreement(record["agreement"]), *notes(record)]


def _pairs(models: Record) -> list[str]:
    rows = [(model, str(r["images"]), *_rate(r)) for model, r in models.items()]
    return grid(("pairs", "pairs", "real image chosen", "interval"), rows)


def _acceptance(models: Record) -> list[str]:
    rows = [
        (f"{model}, {name or 'all'}", str(r["images"]), percent(r["share"]), "yes" if r["passes"] else "no")
        for model, classes in models.items()
        for name, r in classes.items()
    ]
    return grid(("acceptable to a majority", "images", "share", "80 % or more"), rows)


def _scores(question: str, scores: Record, settings: Record) -> list[str]:
    letters = scores["letters"] or {}
    rows = [
        (
            m, str(r["images"]), two_digits(r["mean"]), two_digits(r["sd"]),
            between(r["low"], r["high"], two_digits), letters.get(m, "-"),
        )
        for m, r in sorted(scores["models"].items(), key=lambda item: -item[1]["mean"])
    ]  # fmt: skip
    lines = grid((question, "images", "mean", "sd", "interval", "letters"), rows)
    lines.append(kruskal(scores["kruskal_wallis"], "models", settings["alpha"]))
    if scores["dunn"]:
        lines.append(dunn("Models", settings, ", by images, each with the mean of its readers"))
    return lines


def _realism(realism: Record, alpha: float) -> list[str]:
    models, real = realism["models"], realism["error_real"]
    every = {"all generators": realism["all"]} if len(models) > 1 else {}
    lines = grid(
        ("real or fake", "fakes detected", "interval", "error rate (HYPE)", "interval"),
        [(m, *_rate(r["fake_detection"]), *_rate(r["hype"])) for m, r in {**models, **every}.items()],
    )
    if "estimate" in real:
        share, interval = _rate(real)
        lines.append(f"Readers called real images fake in {share} of the answers ({interval}).")
    lines += [_conclusion(m, r["hype"]) for m, r in models.items() if "estimate" in r["hype"]]
    return [*lines, "Detection: " + kruskal(realism["kruskal_wallis"], "generators", alpha)]


def _rate(rate: Record) -> tuple[str, str]:
    if "estimate" not in rate:
        return "-", rate["reason"]
    return percent(rate["estimate"]), between(rate["low"], rate["high"], percent)


def _conclusion(model: str, hype: Record) -> str:
    if hype["high"] < 0.5:
        return f"{model}: readers distinguish its images from real ones better than chance."
    if hype["low"] > 0.5:
        return f"{model}: readers err more often than chance: its images look more real than real ones."
    return f"{model}: no evidence that readers can, or cannot, distinguish its images from real ones."


def _agreement(questions: Record) -> list[str]:
    rows = []
    for question, measures in questions.items():
        for name, m in measures.items():
            interval = m["reason"] or between(m["low"], m["high"], two_digits)
            rows.append((f"{question}: {name.replace('_', ' ')}", number(m["estimate"], 2), interval))
    return grid(("agreement between readers", "value", "interval"), rows)
