"""The leaderboard's findings, a sentence each, from the comparison alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.bundles.schema import was_not_run
from benchmark.reporting.leaderboards.words import spread
from benchmark.utils.formatting import listed, plural

Finding = dict[str, str]


def findings(comparison: Mapping[str, Any], roles: Mapping[str, str]) -> list[Finding]:
    """What the leaderboard shows and does not show.

    Args:
        comparison: of ``benchmark.comparison``.
        roles: ``generator`` or ``control`` by row.
    Returns:
        Records of ``tone`` (``good``, ``bad`` or ``plain``) and ``text``.
    """
    generators = [n for n, role in sorted(roles.items()) if role == "generator"]
    found = [_can_measure(comparison), _controls(comparison)]
    found += [_generator(comparison, n) for n in generators if n not in comparison["failed"]]
    return found + _absent(comparison["failed"])


def _absent(failed: Mapping[str, str]) -> list[Finding]:
    """The rows without figures: those that failed, and those that were not run."""
    left_out = sorted(n for n, error in failed.items() if was_not_run(error))
    broken = sorted(set(failed) - set(left_out))
    found = []
    if broken:
        has = "has" if len(broken) == 1 else "have"
        text = f"{plural(len(broken), 'row')} failed and {has} no figures: {listed(broken)}."
        found.append({"tone": "bad", "text": text})
    if left_out:
        was = "was" if len(left_out) == 1 else "were"
        why = f"{was} not run, since no such generator is installed"
        text = f"{plural(len(left_out), 'row')} {why}: {listed(left_out)}."
        found.append({"tone": "plain", "text": text})
    return found


def metric_of(comparison: Mapping[str, Any]) -> Mapping[str, Any]:
    """Name, title, noun and form of the primary metric."""
    found: Mapping[str, Any] = comparison["settings"]["primary_metric"]
    return found


def primary(comparison: Mapping[str, Any]) -> dict[str, Any]:
    """The figures by row on the test split at the primary bracket."""
    bracket = str(comparison["settings"]["primary_bracket"])
    figures: dict[str, Any] = comparison["figures"].get("test", {}).get(bracket, {})
    return figures


def verdict(difference: Mapping[str, Any], alpha: float) -> str:
    """``better than``, ``worse than`` or ``not told apart from``, by the adjusted p value."""
    if difference["p_adjusted"] >= alpha:
        return "not told apart from"
    return "better than" if difference["estimate"] > 0 else "worse than"


def _can_measure(comparison: Mapping[str, Any]) -> Finding:
    claim = comparison["controls"][0]
    if claim["held"] is None:
        return {
            "tone": "bad",
            "text": f"Whether this task can measure anything is unknown. {claim['evidence']}",
        }
    metric = metric_of(comparison)
    base = comparison["settings"]["yardstick"]
    difference = spread(primary(comparison)["oracle"]["versus"][base][metric["name"]], metric["noun"])
    if claim["held"]:
        text = f"There is something to find: fresh true images (oracle) bring {difference} over {base}."
        return {"tone": "good", "text": text}
    text = (
        "This task cannot measure anything at this size: "
        f"even fresh true images (oracle) do not beat {base} ({difference})."
    )
    return {"tone": "bad", "text": text}


def _controls(comparison: Mapping[str, Any]) -> Finding:
    decisive = [c for c in comparison["controls"] if c["decisive"]]
    broken = [c["claim"] for c in decisive if c["held"] is False]
    unknown = [c["claim"] for c in decisive if c["held"] is None]
    if broken:
        return {
            "tone": "bad",
            "text": f"Controls misbehaved, so distrust the figures: not true that {listed(broken)}.",
        }
    if unknown:
        return {"tone": "bad", "text": f"Controls that could not be judged: {listed(unknown)}."}
    return {"tone": "good", "text": f"All {len(decisive)} claims that the controls must meet are met."}


def _generator(comparison: Mapping[str, Any], name: str) -> Finding:
    alpha = comparison["settings"]["alpha"]
    figures = primary(comparison)[name]
    reason = comparison["ranking"]["unranked"].get(name)
    metric = metric_of(comparison)
    versus = {b: d[metric["name"]] for b, d in figures["versus"].items()}
    if not versus:
        return {"tone": "plain", "text": f"{name} has no baseline to be compared with."}
    said = listed([_said(d, b, alpha) for b, d in versus.items()])
    if reason:
        return {"tone": "bad", "text": f"{name} {reason} and gets no rank; it is {said}."}
    verdicts = [verdict(d, alpha) for d in versus.values()]
    base, first = next(iter(versus.items()))
    missed = (
        f" A true difference to {base} below {100 * first['detectable']:.1f} points of {metric['noun']} "
        "would mostly go unseen."
    )
    text = f"{name} is {said}." + (missed if verdicts[0] == "not told apart from" else "")
    tone = "bad" if "worse than" in verdicts else "good" if set(verdicts) == {"better than"} else "plain"
    return {"tone": tone, "text": text}


def _said(difference: Mapping[str, Any], base: str, alpha: float) -> str:
    found = verdict(difference, alpha)
    alone = difference["low"] * difference["high"] > 0 and found == "not told apart from"
    caution = ", not significant after correction for the number of rows" if alone else ""
    return f"{found} {base} ({spread(difference)}{caution})"
