"""Variants: the fields in which the runs of one task differ, from their manifests."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.bundles.schema import Manifest
from benchmark.errors import SubmissionError

STRATEGY = "strategy"
THINNING = ("fraction", "imbalance")  # rules that leave training images of a class out
OTHERS = ("profile", "source", "image_size")


def variants(heads: Sequence[Manifest]) -> list[dict[str, str]]:
    """Return the fields in which runs of one task differ, with each run's value; empty for a single run.

    Where the runs balance the classes in different ways, and each is one of Lan's strategies, the field
    ``strategy`` replaces the fields of the mix that define it (see ``strategy``).

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
    varied = [{n: own.get(n, "not set") for n in differ} for own in fields]
    for i, own in enumerate(varied):
        if own in varied[:i]:
            first = varied.index(own)
            raise SubmissionError(
                "--bundles",
                f"folders {first + 1} and {i + 1} hold the same variant ({own or 'no field differs'})",
                "Give each variant once.",
            )
    return varied


def strategy(head: Manifest) -> str | None:
    """Return Lan's name for the way in which a binary task balances its classes, or None.

    ``misclassified``: generators learn from the images that a classifier misclassifies. ``unbalanced``: all
    training images remain, and the classes get different multiples of them. ``balanced``: a rule thins a
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
    """Return the rules that leave training images out."""
    return [
        name
        for name, rule in scenario.items()
        if isinstance(rule, Mapping) and rule.get("rule") in THINNING and rule.get("keep") not in (1, 1.0, {})
    ]


def _named_strategies(heads: Sequence[Manifest], fields: list[dict[str, str]]) -> list[dict[str, str]]:
    """Return the fields with the strategy in place of those that define it, if the runs still differ."""
    names = [strategy(h) for h in heads]
    if None in names or len(set(names)) < 2:
        return fields
    replaced = {
        "mix.factor",
        "mix.fit_on",
        "mix.unit",
        *(f"{r}.keep" for h in heads for r in _thinning(h.scenario)),
    }
    named = [
        {STRATEGY: str(name), **{k: v for k, v in own.items() if k not in replaced}}
        for name, own in zip(names, fields, strict=True)
    ]
    return fields if any(own in named[:i] for i, own in enumerate(named)) else named


def _fields(head: Manifest) -> dict[str, str]:
    fields = {name: str(getattr(head, name)) for name in OTHERS}
    fields["classifiers"] = ", ".join(sorted(head.classifiers))
    for rule, value in head.scenario.items():
        inner = value.items() if isinstance(value, Mapping) else [("", value)]
        fields.update({f"{rule}.{k}".rstrip("."): _text(v) for k, v in inner})
    return fields | {f"mix.{k}": _text(v) for k, v in head.mix.items()}


def _classifier_cards(head: Manifest, names: set[str]) -> dict[str, str]:
    """Return weights and training of the classifiers that all runs have."""
    return {
        f"{card.name}.{k}": _text(v)
        for card in head.classifier_cards
        if card.name in names
        for k, v in card.model_dump(mode="json", exclude={"name", "parameters"}).items()
    }


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, sort_keys=True, ensure_ascii=False)


def numeric_field(varied: Sequence[Mapping[str, str]]) -> str | None:
    """Return the only field in which runs differ, if its values are numbers; else None."""
    if len(varied) < 2 or any(len(own) != 1 for own in varied):
        return None
    name = next(iter(varied[0]))
    try:
        values = [float(own[name]) for own in varied]
    except ValueError:
        return None
    return name if len(set(values)) == len(values) else None
