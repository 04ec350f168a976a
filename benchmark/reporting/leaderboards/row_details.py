"""Details of a row: the content of its bundle and its standing, as terms and texts."""

import re
from dataclasses import dataclass

from markupsafe import Markup

from benchmark.bundles.schema import CopyShare, Manifest, Nearness
from benchmark.engine.sandbox.level import SENTENCES
from benchmark.images.copies.rates import Z
from benchmark.plugins.metric import enough_images
from benchmark.reporting.formats import measure_title, number, percent, settings
from benchmark.reporting.leaderboards.board import Board, BoardRow
from benchmark.reporting.leaderboards.sentences import Item, row_tests
from benchmark.utils.formatting import listed, plural, points, points_range

SUBMISSION_TYPES = {
    "suite": "row of the suite",
    "generator": "submitted generator, trained and evaluated by the suite",
    "samples": "submitted samples, evaluated by the suite",
    "bundle": "submitted bundle, computed elsewhere with the same protocol",
}
COPIED = {
    "test": "Copies of test images",
    "reserve": "Copies of reserve images",
    "itself": "Copies of one another",
}
STATUS = {
    "verified": "verified: checked, and a share of its trainings repeated",
    "self-reported": "self-reported: no deep verification that a maintainer signed",
    "changed": "changed since its verification, which no longer counts",
}
WEB = re.compile(r"https?://[^\s<>\"']+")
DOI = re.compile(r"(?:doi:)?(10\.\d{4,9}/[^\s<>\"']+)")


@dataclass(frozen=True)
class DetailGroup:
    """A title, and its terms with their texts; ``Markup`` for a link."""

    title: str
    entries: list[Item]


def details(board: Board, row: BoardRow) -> list[DetailGroup]:
    """All groups of a row that have entries; entries without a text are left out."""
    groups = {
        "Description": _description(row),
        "Comparison": row_tests(board, row),
        "Declared": _submission(row),
        "Standing": _standing(row),
        "Memorization gate": _gate(row),
        "Fits": _fits(row),
        "Execution": _execution(board, row),
        "Content": _content(row),
    }
    present = {title: [(term, text) for term, text in items if text] for title, items in groups.items()}
    return [DetailGroup(title, entries) for title, entries in present.items() if entries]


def link(text: str) -> str:
    """Make a link of a web address or a DOI; return any other text as it is."""
    doi = DOI.fullmatch(text)
    address = f"https://doi.org/{doi[1]}" if doi else text
    if not WEB.fullmatch(address):
        return text
    return Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>').format(address, text)


def _description(row: BoardRow) -> list[Item]:
    card = row.manifest.row
    return [
        (card.title or card.name, card.description),
        ("Source", card.citation),
        ("License", card.license),
        ("Version", card.version),
        ("Parameters", settings(card.params) if card.params else ""),
        ("Fit", _unit(row.manifest)),
        ("Base checkpoints", ", ".join(f"{name} (SHA-256 {value})" for name, value in card.assets.items())),
    ]


def _unit(manifest: Manifest) -> str:
    """Return unit, image size and seeds of the fits; empty where a bundle does not tell."""
    card = manifest.row
    if card.fit_unit is None:
        return ""
    unit = {"joint": "all classes together", "per_class": "one per class", "per_image": "one per image"}
    seeds = ", ".join(map(str, manifest.fit_seeds))
    return f"{unit[card.fit_unit]}, at {card.image_size} px, seed {seeds}"


def _submission(row: BoardRow) -> list[Item]:
    """The submission card; of a row of the suite, what the suite declares."""
    card, own = row.manifest.submission, row.declared
    declared = [
        ("Training data", own.training_data if card or row.selection else ""),
        ("Pre-training data", own.pretraining_data if card or row.selection else ""),
        ("Attempts", own.attempts_text),
        ("Test access", own.test_access),
    ]
    if card is None:
        return [("Author", own.author), *declared]
    return [
        ("Title", card.title),
        ("Authors", listed(list(card.authors))),
        ("Paper", link(card.paper)),
        ("Code", link(card.code)),
        ("License", card.license),
        *declared,
        ("Hardware", own.hardware),
    ]


def _standing(row: BoardRow) -> list[Item]:
    standing = row.standing
    if standing is None:
        return []
    return [
        ("Submission type", SUBMISSION_TYPES[row.manifest.submission_type]),
        ("Run by", row.origin),
        ("Status", STATUS[standing.status]),
        ("Signature", row.signature),
        ("Record", standing.detail),
        ("Sealed test", _sealed(row)),
    ]


def _sealed(row: BoardRow) -> str:
    """Both results and the difference of the gains; empty for a row that saw no sealed test."""
    own = row.sealed
    if own is None:
        return ""
    return (
        f"{100 * own.test:.1f} on test, {100 * own.sealed:.1f} on {plural(own.patients, 'patient')} of "
        f"season {own.season}; the gains over real_only differ by {points(own.difference)} points "
        f"{points_range(own)}: {row.unsealed or ('holds' if own.holds else own.reason)}"
    )


def _gate(row: BoardRow) -> list[Item]:
    gate = row.manifest.memorization
    if gate is None:
        return []
    low, high = (f"{100 * end:.1f}" for end in gate.interval)
    result = "blind: it does not detect planted copies" if gate.blind else "gated" if gate.gated else "passed"
    if gate.recall is None:
        return _earlier_gate(row, result, f"{percent(gate.rate)} [{low}, {high}] of {gate.n} images")
    return [
        ("Result", result),
        ("Copies of training images", f"{percent(gate.rate)} [{low}, {high}] of {gate.n} images"),
        ("Expected of new patients", percent(gate.expected)),
        *([("Nearest to a training patient", _nearness(gate.nearness))] if gate.nearness else []),
        *((COPIED[name], _share(share)) for name, share in (gate.copies or {}).items() if name in COPIED),
        ("Planted copies detected", listed([f"{kind} {percent(r)}" for kind, r in gate.recall.items()])),
        ("Blind to", listed(list(gate.blind_to or ())) or "no kind of planted copy"),
    ]


def _nearness(near: Nearness) -> str:
    low, high = (100 * min(max(near.share + side * Z * near.error, 0), 1) for side in (-1, 1))
    excess = "; more than chance explains" if near.excess else ""
    return f"{percent(near.share)} [{low:.1f}, {high:.1f}] of {near.n} images, 50 % expected{excess}"


def _share(share: CopyShare) -> str:
    low, high = (f"{100 * end:.1f}" for end in share.interval)
    excess = "; more than chance explains" if share.excess else ""
    rate = f"{percent(share.rate)} [{low}, {high}] of {share.n} images"
    return f"{rate}, {percent(share.expected)} expected{excess}"


def _earlier_gate(row: BoardRow, result: str, rate: str) -> list[Item]:
    """Items of a row that the detector before this one judged."""
    gate = row.manifest.memorization
    assert gate is not None
    return [
        ("Result", result),
        ("Copies", rate),
        ("Expected of new patients", percent(gate.expected)),
        ("Threshold", f"an image nearer than distance {number(gate.threshold)} counts as a copy"),
        ("Planted copies detected", percent(gate.planted_recall)),
    ]


def _fits(row: BoardRow) -> list[Item]:
    """Measures of each fit, and their range; empty for a row with one fit."""
    manifest = row.manifest
    gate = manifest.memorization
    entries = []
    if gate and gate.by_fit:
        rates = listed([f"{percent(rate)} (seed {seed})" for seed, rate in gate.by_fit.items()])
        entries.append(("Copies", f"{rates}; the gate is that of seed {gate.fit}"))
    for name, measure in manifest.measures.items():
        if measure.by_fit and measure.fit_range and enough_images(name, measure.n):
            values = listed([f"{number(value)} (seed {seed})" for seed, value in measure.by_fit.items()])
            low, high = map(number, measure.fit_range)
            entries.append((measure_title(name), f"{values}; from {low} to {high}"))
    return entries


def _execution(board: Board, row: BoardRow) -> list[Item]:
    """Return seeds and isolation, and the environment where the rows of the board differ in it."""
    manifest = row.manifest
    isolation = manifest.provenance and manifest.provenance.isolation
    differ = len(board.environments) > 1
    return [
        ("Seeds", settings(manifest.seeds)),
        ("Seeds of the fits", settings(manifest.fit_seeds) if len(manifest.fit_seeds) > 1 else ""),
        ("Device", f"{manifest.device}, {manifest.precision}"),
        ("Hardware", settings(manifest.hardware) if differ else ""),
        ("Software", settings(manifest.software) if differ else ""),
        ("Isolation", SENTENCES.get(isolation or "", "")),
    ]


def _content(row: BoardRow) -> list[Item]:
    """Return the hashes of the samples, and of ``bundle.json``, which has those of all its files."""
    samples = row.manifest.samples
    return [
        ("Samples", f"{plural(samples.images, 'image')}, content {samples.hash}" if samples else ""),
        ("bundle.json", f"SHA-256 {row.sha256}" if row.sha256 else ""),
    ]
