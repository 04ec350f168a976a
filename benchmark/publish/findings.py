"""The leaderboard's findings, a sentence each, from the comparison alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmark.publish.words import listed, percent, plural, spread

Finding = dict[str, str]


def findings(comparison: Mapping[str, Any], roles: Mapping[str, str]) -> list[Finding]:
    """What the leaderboard shows and does not show.

    Args:
        comparison: of ``benchmark.compare``.
        roles: ``generator`` or ``control`` by row.
    Returns:
        Records of ``tone`` (``good``, ``bad`` or ``plain``) and ``text``.
    """
    generators = [n for n, role in sorted(roles.items()) if role == "generator"]
    found = [_can_measure(comparison), _controls(comparison)]
    found += [_generator(comparison, n) for n in generators if n not in comparison["failed"]]
    if comparison["failed"]:
        names = sorted(comparison["failed"])
        text = f"{plural(len(names), 'row')} failed and {'has' if len(names) == 1 else 'have'} no figures: "
        found.append({"tone": "bad", "text": f"{text}{listed(names)}."})
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
    difference = spread(primary(comparison)["oracle"]["versus"]["real_only"]["balanced_accuracy"])
    if claim["held"]:
        text = f"There is something to find: fresh true images (oracle) bring {difference} over real_only."
        return {"tone": "good", "text": text}
    text = (
        "This task cannot measure anything at this size: even fresh true images (oracle) do not beat real_only "
        f"({difference})."
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
    figures = primary(comparison).get(name)
    reason = comparison["ranking"]["unranked"].get(name)
    if figures is None:
        return {"tone": "bad", "text": f"{name} has no figures at the primary bracket."}
    versus = {b: d["balanced_accuracy"] for b, d in figures["versus"].items()}
    if not versus:
        return {"tone": "plain", "text": f"{name} has no baseline to be compared with."}
    parts = [f"{verdict(d, alpha)} {b} ({spread(d)})" for b, d in versus.items()]
    text = f"{name} is {listed(parts)}."
    if reason:
        return {"tone": "bad", "text": f"{name} {reason} and gets no rank; it is {listed(parts)}."}
    if verdict(versus.get("real_only", next(iter(versus.values()))), alpha) == "not told apart from":
        smallest = percent(next(iter(versus.values()))["detectable"]).replace(" %", " points")
        return {"tone": "plain", "text": f"{text} Differences below {smallest} would mostly go unseen."}
    better = all(verdict(d, alpha) == "better than" for d in versus.values())
    worse = any(verdict(d, alpha) == "worse than" for d in versus.values())
    return {"tone": "good" if better else "bad" if worse else "plain", "text": text}
