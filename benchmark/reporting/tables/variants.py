"""What tells the runs of one task apart, from the differences between their manifests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError

STRATEGY = "strategy"
THINNING = ("fraction", "imbalance")  # rules that leave training images of a class out
OTHERS = ("profile", "source", "image_size")


def variants(heads: Sequence[Manifest]) -> list[dict[str, str]]:
    """The fields in which runs of one task differ, with each run's value; empty for a run alone.

    Where the runs differ in how the classes are balanced, and each is one of Lan's strategies, the fields
    of the mix that make it up are given as one, ``strategy`` (see ``strategy``).

    Args:
        heads: a manifest of each run.
    Raises:
        SubmissionError: two tasks, or two runs that do not differ.
    """
    tasks = sorted({h.task for h in heads})
    if len(tasks) > 1:
        raise SubmissionError(
            "--bundles", f"are of the tasks {', '.join(tasks)}", "Give variants of one task in one command."
        )
    shared = set.intersection(*(set(h.classifiers) for h in heads))
    fields = [_fields(h) | _classifier_cards(h, shared) for h in heads]
    if len(heads) > 1:
        fields = _named_strategies(heads, fields)
    names = sorted({name for own in fields for name in own})
    differ = [n for n in names if len({own.get(n, "") for own in fields}) > 1]
    found = [{n: own.get(n, "not set") for n in differ} for own in fields]
    for i, own in enumerate(found):
        if own in found[:i]:
            first = found.index(own)
            raise SubmissionError(
                "--bundles",
                f"folders {first + 1} and {i + 1} hold the same variant ({own or 'no field differs'})",
                "Give each variant once.",
            )
    return found


def strategy(head: Manifest) -> str | None:
    """Lan's name for how a binary task's classes are balanced, or None.

    ``misclassified``: generators learn from the images that a classifier gets wrong. ``unbalanced``: all
    training images stay, and the classes get different multiples of them. ``balanced``: a rule thins a
    class out, and all classes get the same multiple.

    Source: Lan 2023, section 4.5, Tables 4 and 5.
    """
    if len(head.classes) != 2:
        return None
    mix = head.mix
    if mix.get("fit_on") == "misclassified":
        return "misclassified"
    factors = [float(mix.get("factor", {}).get(c, 1.0)) for c in head.classes]
    even, thinned = len(set(factors)) == 1, bool(_thinning(head.scenario))
    if mix.get("unit") != "real_image" or even != thinned:
        return None
    return "balanced" if even else "unbalanced"


def _thinning(scenario: Mapping[str, Any]) -> list[str]:
    """The rules that leave training images out."""
    return [
        name
        for name, rule in scenario.items()
        if isinstance(rule, Mapping) and rule.get("rule") in THINNING and rule.get("keep") not in (1, 1.0, {})
    ]


def _named_strategies(heads: Sequence[Manifest], fields: list[dict[str, str]]) -> list[dict[str, str]]:
    """The fields with the strategy's name in place of what makes it up, where that keeps the runs apart."""
    names = [strategy(h) for h in heads]
    if None in names or len(set(names)) < 2:
        return fields
    gone = {
        "mix.factor",
        "mix.fit_on",
        "mix.unit",
        *(f"{r}.keep" for h in heads for r in _thinning(h.scenario)),
    }
    found = [
        {STRATEGY: str(name), **{k: v for k, v in own.items() if k not in gone}}
        for name, own in zip(names, fields, strict=True)
    ]
    return fields if any(own in found[:i] for i, own in enumerate(found)) else found


def _fields(head: Manifest) -> dict[str, str]:
    found = {name: str(getattr(head, name)) for name in OTHERS}
    found["classifiers"] = ", ".join(sorted(head.classifiers))
    for rule, said in head.scenario.items():
        inner = said.items() if isinstance(said, Mapping) else [("", said)]
        found.update({f"{rule}.{k}".rstrip("."): _text(v) for k, v in inner})
    found.update({f"mix.{k}": _text(v) for k, v in head.mix.items()})
    return found


def _classifier_cards(head: Manifest, names: set[str]) -> dict[str, str]:
    """How the classifiers that all runs have were begun and trained."""
    return {
        f"{card.name}.{k}": _text(v)
        for card in head.classifier_cards
        if card.name in names
        for k, v in card.model_dump(mode="json", exclude={"name", "parameters"}).items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def numeric_field(found: Sequence[Mapping[str, str]]) -> str | None:
    """The one field in which runs differ, if its values are numbers; else None."""
    if len(found) < 2 or any(len(own) != 1 for own in found):
        return None
    name = next(iter(found[0]))
    try:
        values = [float(own[name]) for own in found]
    except ValueError:
        return None
    return name if len(set(values)) == len(values) else None
