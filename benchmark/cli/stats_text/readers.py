"""Output of ``stats readers``."""

from __future__ import annotations

from benchmark.cli.stats_text.form import (
    Record,
    between,
    dunn,
    grid,
    kruskal,
    notes,
    number,
    percent,
    two_digits,
)


def readers(record: Record) -> list[str]:
    """Format the analysis of a reader study."""
    study = record["study"]
    models = ", ".join(f"{m} {n}" for m, n in study["models"].items())
    lines = [f"{len(study['readers'])} reader(s); images: {models}."]
    for question, scores in record["scores"].items():
        lines += ["", *_scores(question, scores, record["settings"])]
    if record["realism"] is not None:
        lines += ["", *_realism(record["realism"], record["settings"]["alpha"])]
    return [*lines, "", *_agreement(record["agreement"]), *notes(record)]


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
