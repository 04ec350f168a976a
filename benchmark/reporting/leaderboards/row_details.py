"""Everything that a bundle says about its row, and how far it is trusted, as terms and texts."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from benchmark.reporting.leaderboards import words
from benchmark.reporting.leaderboards.view import Line
from benchmark.utils.formatting import listed, plural

if TYPE_CHECKING:
    from benchmark.reporting.leaderboards.boards import Standing

WAYS = {
    "suite": "run by the project itself",
    "generator": "a generator handed in; the suite trained and judged it",
    "samples": "images handed in; the suite judged them with its own classifiers",
    "bundle": "predictions handed in, made elsewhere with the same protocol",
}
STATUS = {
    "verified": "verified: checked again, and a share of its trainings repeated",
    "self-reported": "self-reported: no record of a deep verification",
    "changed": "changed since it was verified, so the verification no longer counts",
}
WEB = re.compile(r"https?://[^\s<>\"']+")
DOI = re.compile(r"(?:doi:)?(10\.\d{4,9}/[^\s<>\"']+)")
Item = tuple[str, str]  # a term and what is said of it; Markup for a link


@dataclass(frozen=True)
class Part:
    """A part of the card: its title and its items."""

    title: str
    items: list[Item]


def parts(line: Line, standing: Standing | None, compared: Sequence[Item]) -> list[Part]:
    """The card of a row, without the parts that it lacks; ``compared`` says how it did."""
    said = line.manifest.record()
    found = [
        Part("What it is", _what(said)),
        Part("How it compares", list(compared)),
        Part("Submission", _submission(said["submission"])),
        Part("Standing", _standing(said, standing)),
        Part("Memorization gate", _gate(said["memorization"])),
        Part("How it ran", _ran(said)),
        Part("Content", _content(said)),
    ]
    return [part for part in found if part.items]


def link(text: str) -> str:
    """A link where the text is a web address or a DOI, else the text."""
    doi = DOI.fullmatch(text)
    address = f"https://doi.org/{doi[1]}" if doi else text
    if not WEB.fullmatch(address):
        return text
    return Markup('<a href="{}" rel="noopener noreferrer nofollow">{}</a>').format(address, text)


def _what(said: Mapping[str, Any]) -> list[Item]:
    row = said["row"]
    items = [(row["title"] or row["name"], row["description"]), ("Source", row["citation"])]
    items += [("License", row["license"]), ("Version", row["version"])]
    return _present([*items, ("Parameters", words.settings(row["params"]) if row["params"] else "")])


def _submission(card: Mapping[str, Any] | None) -> list[Item]:
    if card is None:
        return []
    items = [("Title", card["title"]), ("Authors", listed(list(card["authors"])))]
    items += [("Paper", link(card["paper"])), ("Code", link(card["code"])), ("License", card["license"])]
    items += [("Training data", card["training_data"]), ("Pre-trained weights", card["pretrained_weights"])]
    return _present([*items, ("Compute", card["compute"])])


def _standing(said: Mapping[str, Any], standing: Standing | None) -> list[Item]:
    if standing is None:
        return []
    submission_type = WAYS[said["submission_type"]]
    signed = standing.signature + (f", key {standing.signer}" if standing.signer else "")
    items = [("Way in", submission_type), ("Status", STATUS[standing.status]), ("Signature", signed)]
    return _present([*items, ("Record", standing.detail)])


def _gate(gate: Mapping[str, Any] | None) -> list[Item]:
    if gate is None:
        return []
    low, high = (f"{100 * end:.1f}" for end in gate["interval"])
    verdict = "gated" if gate["gated"] else "passed"
    return [
        ("Verdict", "blind: planted copies are not found" if gate["blind"] else verdict),
        (
            "Copies",
            f"{words.percent(gate['rate'])} [{low}, {high}] of {gate['n']} images",
        ),
        ("Expected of fresh patients", words.percent(gate["expected"])),
        ("Nearer than", f"distance {words.number(gate['threshold'])} counts as a copy"),
        ("Planted copies found", words.percent(gate["planted_recall"])),
    ]


def _ran(said: Mapping[str, Any]) -> list[Item]:
    items = [("Seeds", words.settings(said["seeds"])), ("Device", f"{said['device']}, {said['precision']}")]
    items += [("Hardware", words.settings(said["hardware"])), ("Software", words.settings(said["software"]))]
    return _present(items)


def _content(said: Mapping[str, Any]) -> list[Item]:
    samples = said["samples"]
    images = f"{plural(samples['images'], 'image')}, content {samples['hash']}" if samples else ""
    items = [("Protocol", said["protocol_hash"]), ("Data", said["data"]["fingerprint"]), ("Samples", images)]
    return _present(items + [(name, f"sha256 {sha}") for name, sha in sorted(said["files"].items())])


def _present(items: Sequence[tuple[str, str | None]]) -> list[Item]:
    return [(term, text) for term, text in items if text]
