"""What ``stats readers`` prints."""

from __future__ import annotations

from benchmark.cli.stats_text.form import Record, between, grid, kruskal, notes, number, percent


def readers(record: Record) -> list[str]:
    """A reader study."""
    study = record["study"]
    models = ", ".join(f"{m} {n}" for m, n in study["models"].items())
    lines = [f"{len(study['readers'])} reader(s); images: {models}."]
    for question, found in record["scores"].items():
        lines += ["", *_scores(question, found, record["settings"])]
    if record["realism"] is not None:
        lines += ["", *_realism(record["realism"], record["settings"]["alpha"])]
    lines += ["", *_agreement(record["agreement"])]
    return [*lines, *notes(record)]


def _scores(question: str, found: Record, settings: Record) -> list[str]:
    letters = found["letters"] or {}
    rows = [
        (
            m, str(r["images"]), number(r["mean"], 2), number(r["sd"], 2), between(r["low"], r["high"], _two),
            letters.get(m, "-"),
        )
        for m, r in sorted(found["models"].items(), key=lambda item: -item[1]["mean"])
    ]  # fmt: skip
    lines = [*grid((question, "images", "mean", "sd", "interval", "letters"), rows)]
    lines.append(kruskal(found["kruskal_wallis"], "models", settings["alpha"]))
    if found["dunn"]:
        lines.append(
            f"Models that share a letter were not told apart (Dunn's test, {settings['correction']}, alpha "
            f"{settings['alpha']:g}), by images, each with the mean of its readers."
        )
    return lines


def _two(value: float) -> str:
    return f"{value:.2f}"


def _realism(found: Record, alpha: float) -> list[str]:
    each = {**found["models"], **({"all generators": found["all"]} if len(found["models"]) > 1 else {})}
    lines = grid(
        ("real or fake", "fakes detected", "interval", "error rate (HYPE)", "interval"),
        [(m, *_rate(r["fake_detection"]), *_rate(r["hype"])) for m, r in each.items()],
    )
    real = found["error_real"]
    if "estimate" in real:
        lines.append(
            f"Real images were called fake in {percent(real['estimate'])} of the answers "
            f"({between(real['low'], real['high'], percent)})."
        )
    lines += [_told(m, r["hype"]) for m, r in found["models"].items() if "estimate" in r["hype"]]
    return [*lines, "Detection: " + kruskal(found["kruskal_wallis"], "generators", alpha)]


def _rate(found: Record) -> tuple[str, str]:
    if "estimate" not in found:
        return "-", found["reason"]
    return percent(found["estimate"]), between(found["low"], found["high"], percent)


def _told(model: str, found: Record) -> str:
    if found["high"] < 0.5:
        return f"{model}: readers told its images from real ones better than chance."
    if found["low"] > 0.5:
        return (
            f"{model}: readers were wrong more often than chance: its images look more real than real ones."
        )
    return f"{model}: not shown that readers could tell its images from real ones, nor that they could not."


def _agreement(found: Record) -> list[str]:
    rows = []
    for question, measures in found.items():
        for name, own in measures.items():
            said = between(own["low"], own["high"], _two) if own["reason"] is None else own["reason"]
            rows.append((f"{question}: {name.replace('_', ' ')}", number(own["estimate"], 2), said))
    return grid(("agreement between readers", "value", "interval"), rows)
