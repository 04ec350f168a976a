"""Findings of a leaderboard: conclusions from the comparison, one sentence each."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from benchmark.bundles.schema import was_not_run
from benchmark.comparison.records import Comparison
from benchmark.comparison.row_records import BaselineDifference
from benchmark.utils.formatting import listed, plural, points, points_with_range

NO_DIFFERENCE = "not significantly different from"
NO_VERDICT = "not tested against"


@dataclass(frozen=True)
class Finding:
    """A sentence and its tone."""

    tone: Literal["good", "bad", "plain"]
    text: str


def findings(comparison: Comparison, roles: Mapping[str, str]) -> list[Finding]:
    """Summarize the controls, every generator and the missing rows, from each row's role."""
    generators = [n for n, role in sorted(roles.items()) if role == "generator"]
    return [
        _can_measure(comparison),
        _controls(comparison),
        *(_generator(comparison, n) for n in generators if n not in comparison.failed),
        *_absent(comparison.failed),
    ]


def verdict(difference: BaselineDifference, alpha: float) -> str:
    """Result of a test by its adjusted p value, as words before the baseline's name."""
    if difference.p_adjusted is None:
        return NO_VERDICT
    if difference.p_adjusted >= alpha:
        return NO_DIFFERENCE
    return "better than" if difference.estimate > 0 else "worse than"


def _can_measure(comparison: Comparison) -> Finding:
    claim, metric = comparison.controls[0], comparison.settings.primary_metric
    if claim.held is None:
        return Finding("bad", f"It is unknown whether this task can measure an effect. {claim.evidence}")
    base = comparison.settings.yardstick
    difference = points_with_range(comparison.primary["oracle"].versus[base][metric.name], metric.noun)
    if claim.held:
        text = (
            f"The task can measure an effect: additional true images (oracle) bring {difference} over {base}."
        )
        return Finding("good", text)
    return Finding(
        "bad",
        "This task cannot measure an effect at this size: "
        f"not even additional true images (oracle) beat {base} ({difference}).",
    )


def _controls(comparison: Comparison) -> Finding:
    decisive = [c for c in comparison.controls if c.decisive]
    broken = [c.claim for c in decisive if c.held is False]
    unknown = [c.claim for c in decisive if c.held is None]
    if broken:
        text = f"Controls failed, so the figures are not reliable. Not confirmed: {'; '.join(broken)}."
        return Finding("bad", text)
    if unknown:
        return Finding("bad", f"Controls without a result: {'; '.join(unknown)}.")
    return Finding("good", f"All {len(decisive)} required controls passed.")


def _generator(comparison: Comparison, name: str) -> Finding:
    alpha, metric = comparison.settings.alpha, comparison.settings.primary_metric
    reason = comparison.ranking.unranked.get(name)
    versus = {base: each[metric.name] for base, each in comparison.primary[name].versus.items()}
    if not versus:
        return Finding("plain", f"{name} has no baseline to be compared with.")
    results = listed([_result(d, base, alpha) for base, d in versus.items()])
    if reason:
        return Finding("bad", f"{name} {reason} and gets no rank; it is {results}.")
    verdicts = [verdict(d, alpha) for d in versus.values()]
    base, first = next(iter(versus.items()))
    text = f"{name} is {results}."
    if verdicts[0] == NO_DIFFERENCE and first.detectable is not None:
        text += (
            f" A true difference to {base} below {100 * first.detectable:.1f} points of {metric.noun} "
            "would usually be missed."
        )
    if "worse than" in verdicts:
        return Finding("bad", text)
    return Finding("good" if set(verdicts) == {"better than"} else "plain", text)


def _result(difference: BaselineDifference, base: str, alpha: float) -> str:
    result = verdict(difference, alpha)
    if difference.low is None or difference.high is None:
        return f"{result} {base} ({points(difference.estimate)} points; {difference.reason})"
    uncorrected = difference.low * difference.high > 0 and result == NO_DIFFERENCE
    caution = ", not significant after correction for the number of rows" if uncorrected else ""
    return f"{result} {base} ({points_with_range(difference)}{caution})"


def _absent(failed: Mapping[str, str]) -> list[Finding]:
    """Findings on the rows that failed and on those that were not run."""
    not_run = sorted(n for n, error in failed.items() if was_not_run(error))
    broken = sorted(set(failed) - set(not_run))
    results = []
    if broken:
        have = "has" if len(broken) == 1 else "have"
        results.append(
            Finding("bad", f"{plural(len(broken), 'row')} failed and {have} no figures: {listed(broken)}.")
        )
    if not_run:
        were = "was not run, since its" if len(not_run) == 1 else "were not run, since their"
        text = f"{plural(len(not_run), 'row')} {were} generator is not installed: {listed(not_run)}."
        results.append(Finding("plain", text))
    return results
