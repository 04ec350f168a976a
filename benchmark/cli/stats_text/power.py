"""Output of ``stats power``."""

from __future__ import annotations

from benchmark.cli.stats_text.form import Record, amount, grid, percent, points, size


def power(record: Record) -> list[str]:
    """Format smallest detectable differences and needed sample sizes."""
    lines = [] if record["mcnemar"] is None else _mcnemar(record["mcnemar"])
    if record["rows"]:
        lines += grid(
            ("row", "difference", "detectable 80 %", "95 %"),
            [
                (name, points(row["difference"]), *(size(row["detectable"][p]) for p in ("0.8", "0.95")))
                for name, row in record["rows"].items()
            ],
        )
        settings = record["settings"]
        lines.append(f"In points of {settings['metric']}, against '{settings['baseline']}'.")
        lines += [_needed(name, row["needed"]) for name, row in record["rows"].items() if row["needed"]]
    return lines


def _mcnemar(test: Record) -> list[str]:
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
