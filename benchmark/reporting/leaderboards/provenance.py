"""Provenance of a board as terms and sentences, for every page."""

from collections.abc import Mapping
from typing import Any

from benchmark.reporting.formats import classifier_summary, number, settings
from benchmark.reporting.leaderboards.board import UNITS, Board
from benchmark.utils.formatting import listed, plural

Item = tuple[str, str]  # a term and its text
TRAINING = {"add": "join the real ones", "synthetic": "replace the real ones"}


def provenance(board: Board) -> list[Item]:
    """Return protocol, data, classifiers, scenario, mix, proof and environments of a board."""
    head = board.head
    items = [
        ("Protocol", f"{head.citation} (hash {head.protocol_hash})"),
        ("Data", f"{head.source}, fingerprint {head.data.fingerprint}"),
        ("Seeds", listed([str(seed) for seed in head.seeds])),
        *(("Classifier", classifier_summary(card)) for card in head.classifier_cards),
    ]
    if head.positive:
        items.append(("Positive class", head.positive))
    if head.folds > 1:
        items.append(("Folds", f"{head.folds}{', joined' if board.test.joined_folds else ''}"))
    items += [("Scenario", _step(name, rule)) for name, rule in sorted(head.scenario.items())]
    if head.mix:
        items.append(("Synthetic images", _mix(head.mix)))
    items += [("Settings", _words(head.settings))] if head.settings else []
    return [*items, *_proof(head.data.proof), *_environments(board)]


def _step(name: str, rule: Any) -> str:
    """Describe a step of the scenario: its rule, and each of its fields with its values."""
    if not isinstance(rule, Mapping):
        return f"{name}: {settings(rule)}"
    fields = {key: value for key, value in rule.items() if key != "rule" and value not in (None, {}, [])}
    own = str(rule.get("rule", name))
    title = own if own == name else f"{name}, rule {own}"
    return f"{title}: {_words(fields)}" if fields else title


def _words(fields: Mapping[str, Any]) -> str:
    """Write fields as a list of phrases: ``keep normal 50 and nodule 20; train site_a``."""
    return "; ".join(f"{key.replace('_', ' ')} {_value(value)}" for key, value in sorted(fields.items()))


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return listed([f"{key} {_value(own)}" for key, own in sorted(value.items())])
    if isinstance(value, (list, tuple)):
        return listed([_value(own) for own in value])
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:g}" if isinstance(value, float) else settings(value)


def _mix(mix: Mapping[str, Any]) -> str:
    """Describe how synthetic images join the training images; other fields follow by name."""
    known = ("training", "unit", "classes", "filter", "fit_on", "ratio", "surplus")
    unit, training = str(mix.get("unit", "class")), str(mix.get("training", "add"))
    parts = [f"they {TRAINING.get(training, training)}, counted per {UNITS.get(unit, unit)}"]
    if mix.get("classes"):
        parts.append(f"for {listed(list(mix['classes']))} alone")
    if mix.get("fit_on") not in (None, "all"):
        parts.append(f"generators are fitted on the {mix['fit_on']} training images")
    if mix.get("ratio") not in (None, 1, 1.0):
        parts.append(f"in the ratio {number(float(mix['ratio']))}")
    if mix.get("filter") not in (None, "none"):
        surplus = f", from {mix['surplus']:g} times as many" if mix.get("surplus") else ""
        parts.append(f"filtered by {mix['filter']}{surplus}")
    more = {k: v for k, v in mix.items() if k not in known and v not in (None, {}, [])}
    return "; ".join([*parts, *([_words(more)] if more else [])]) + "."


def _proof(proof: Mapping[str, Any]) -> list[Item]:
    """Say which splits share no patient and no image; any other part of the proof follows by name."""
    items, sizes = [], ("images", "patients")
    for key, value in sorted(proof.items()):
        what, is_pairs = key.removeprefix("disjoint_by_").replace("_", " "), key.startswith("disjoint_by_")
        if is_pairs and isinstance(value, (list, tuple)):
            names = sorted({str(name) for pair in value for name in pair})
            all_pairs = len(value) == len(names) * (len(names) - 1) // 2
            which = (
                f"no two of {listed(names)}"
                if all_pairs
                else f"none of the pairs {listed([' and '.join(map(str, pair)) for pair in value])}"
            )
            noun = {"patient": "a patient", "pixels": "an image"}.get(what, what)
            items.append(("Splits", f"{which} share {noun} ({plural(len(value), 'pair')} compared)"))
        elif key not in sizes:  # the table of the splits has the sizes
            items.append((f"Proof: {key.replace('_', ' ')}", _value(value)))
    return items


def _environments(board: Board) -> list[Item]:
    environments = board.environments
    items = []
    for own in environments:
        rows = f" (rows: {listed(list(own.rows))})" if len(environments) > 1 else ""
        items.append(("Hardware", f"{settings(own.hardware)}; device {own.device}, {own.precision}{rows}"))
        items.append(("Software", f"{settings(own.software)}{rows}"))
    return items
