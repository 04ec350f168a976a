"""Selection on a board: the attempts of every author, and the gain of the best of them by luck alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from benchmark.bundles.declared import declared
from benchmark.bundles.schema import Manifest
from benchmark.bundles.sealed import DOES_NOT_HOLD
from benchmark.bundles.standing import Standing
from benchmark.comparison.records import Comparison
from benchmark.intake.authors import grouped
from benchmark.reporting.leaderboards.findings import Finding
from benchmark.statistics.selection import expected_maximum
from benchmark.utils.formatting import plural, points, points_with_range
from benchmark.utils.rounding import canonical_float

BASELINE = "real_only"


@dataclass(frozen=True)
class Selection:
    """The attempts behind a row.

    Attributes:
        author: as the row's card spells it.
        rows: of this author on the board.
        attempts: the declared ones of all these rows together, at least one for each.
        luck: expected gain of the best of these attempts if they differ only in random numbers; a fraction,
            None where the board does not show how attempts vary.
    """

    author: str
    rows: tuple[str, ...]
    attempts: int
    luck: float | None


def selections(manifests: Sequence[Manifest], comparison: Comparison) -> dict[str, Selection]:
    """Return the attempts behind every complete row with images.

    A row of the suite counts by itself, with the trials that tuned it.
    """
    submitted = [m for m in manifests if m.submission is not None]
    groups = grouped([declared(m).author for m in submitted])
    result = {}
    for manifest in manifests:
        name, own = manifest.row.name, [manifest]
        if name not in comparison.attempt_se:
            continue
        if manifest.submission is not None:
            number = groups[submitted.index(manifest)]
            own = [m for m, group in zip(submitted, groups, strict=True) if group == number]
        attempts = sum(max(declared(m).attempts or 1, 1) for m in own)
        se = comparison.attempt_se[name]
        luck = None if se is None else canonical_float(expected_maximum(attempts) * se)
        rows = tuple(sorted(m.row.name for m in own))
        result[name] = Selection(declared(manifest).author, rows, attempts, luck)
    return result


def selection_findings(comparison: Comparison, chosen: dict[str, Selection]) -> list[Finding]:
    """Compare the gain of every row of several attempts with that of luck, in a sentence each."""
    return [_finding(comparison, name, own) for name, own in sorted(chosen.items()) if own.attempts > 1]


def sealed_findings(standings: Mapping[str, Standing]) -> list[Finding]:
    """Name the rows whose gain on *test* does not carry over to the sealed test."""
    failing = {row: s.sealed for row, s in sorted(standings.items()) if s.sealed and s.sealed.holds is False}
    return [
        Finding(
            "bad",
            f"{row} {DOES_NOT_HOLD} of season {own.season}: its gain over {BASELINE} is "
            f"{points(own.gain_test)} points on test and {points(own.gain_sealed)} on other patients, a "
            f"difference of {points_with_range(own)}.",
        )
        for row, own in failing.items()
    ]


def _finding(comparison: Comparison, name: str, own: Selection) -> Finding:
    joined = f", which are behind {plural(len(own.rows), 'row')}" if len(own.rows) > 1 else ""
    text = f"{name} is one of {own.attempts} attempts of {own.author}{joined}"
    if own.luck is None:
        return Finding("bad", f"{text}; one training per row does not show what the best gains by luck.")
    text += f"; the best of {own.attempts} equal ones would gain {_size(own.luck)} points by luck"
    metric = comparison.settings.primary_metric.name
    versus = comparison.primary[name].versus.get(BASELINE, {}).get(metric)
    if versus is None or versus.estimate <= 0:
        return Finding("plain", f"{text}.")
    gain = f"its gain of {_size(versus.estimate)} points over {BASELINE}"
    if versus.estimate <= own.luck:
        return Finding("bad", f"{text}, and {gain} lies within that.")
    return Finding("plain", f"{text}, and {gain} is larger.")


def _size(difference: float) -> str:
    return points(difference).lstrip("+")
