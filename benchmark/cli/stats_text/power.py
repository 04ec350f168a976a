"""What a comparison could have found."""

from __future__ import annotations

from benchmark.cli.stats_text.form import Record, amount, grid, percent, points, size


def power(record: Record) -> list[str]:
    """What could be found."""
    lines: list[str] = []
    if record["mcnemar"] is not None:
        lines += _power_of_counts(record["mcnemar"])
    if record["rows"]:
        lines += grid(
            ("row", "difference", "detectable 80 %", "95 %"),
            [(n, points(r["difference"]), *(size(r["detectable"][p]) for p in ("0.8", "0.95")))
             for n, r in record["rows"].items()],
        )  # fmt: skip
        lines.append(
            f"In points of {record['settings']['metric']}, against '{record['settings']['baseline']}'."
        )
        lines += [_needed(n, r["needed"]) for n, r in record["rows"].items() if r["needed"]]
    return lines


def _power_of_counts(found: Record) -> list[str]:
    lines = [
        f"{found['images']} test images, {percent(found['discordant'])} of them discordant: McNemar's test "
        f"finds a difference in accuracy of {_found(seen)} at {100 * float(level):g} % power."
        for level, seen in found["detectable"].items()
    ]
    return lines + [
        f"To find {amount(found['difference'])} at {100 * float(level):g} % power takes {n:,} test images."
        for level, n in found["needed"].items()
    ]


def _found(seen: float | None) -> str:
    return "no size at all" if seen is None else f"{100 * seen:.2f} points"


def _needed(row: str, found: Record) -> str:
    parts = [f"{found[k]:,} {k}" for k in ("runs", "patients") if found[k] is not None]
    said = f"{row}: to find {amount(found['difference'])} at {100 * found['power']:g} % power takes "
    said += " or ".join(parts) if parts else "more than can be had"
    return said + (f" ({found['reason']})." if found["reason"] else ".")
