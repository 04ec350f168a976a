"""Forged records and false origins, handed in with a bundle or laid beside a row of a board."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from benchmark.bundles.io import read_bundle
from benchmark.bundles.previews import png
from benchmark.bundles.standing import Standing, read_keyring, read_standing
from benchmark.errors import BenchmarkError
from benchmark.submissions.accept import add
from benchmark.verification.protocol import claimed_protocol
from benchmark.verification.verify import require_no_fault
from support.door import Door
from support.honest import edit, vouch
from support.keys import AUTHOR, BUNDLE, MAINTAINER, RECORD, STRANGER


@dataclass(frozen=True)
class Outcome:
    """An attack, and the standing that it reached, or the error that stopped it."""

    attack: str
    result: Standing | str

    @property
    def held(self) -> bool:
        """True unless the row is now verified, or run by the project."""
        return isinstance(self.result, str) or (self.result.status != "verified" and not self.result.project)

    def __str__(self) -> str:
        end = self.result if isinstance(self.result, str) else self.result.status
        return f"{self.attack}: {end}"


def record(row: Path, **fields: object) -> Path:
    """Write a record that claims a passed verification of a bundle."""
    content = {
        "schema": 2,
        "bundle_sha256": hashlib.sha256((row / "bundle.json").read_bytes()).hexdigest(),
        "suite_version": "0.1.0",
        "date": "2026-11-28T00:00:00Z",
        "seeds": [0, 1],
        "checks": [{"name": "schema", "passed": True}],
        "plausible": True,
        "detectable": 0.01,
    }
    (row / "verified.json").write_text(json.dumps({**content, **fields}))
    return row / "verified.json"


def signed_by_stranger(row: Path) -> None:
    STRANGER.sign(record(row), RECORD)


def with_key_file(row: Path) -> None:
    """Hand in the list of maintainers, too."""
    signed_by_stranger(row)
    (row / "maintainers").write_text(STRANGER.line())


def of_another_bundle(row: Path) -> None:
    MAINTAINER.sign(record(row, bundle_sha256="0" * 64), RECORD)


def edited_after_signature(row: Path) -> None:
    MAINTAINER.sign(record(row, bundle_sha256="0" * 64), RECORD)
    record(row)


def signed_for_bundles(row: Path) -> None:
    MAINTAINER.sign(record(row), BUNDLE)


def signature_of_bundle_as_record(row: Path) -> None:
    """Reuse the maintainer's signature of a bundle.json for a record."""
    record(row)
    signature = MAINTAINER.signature((row / "bundle.json").read_bytes())
    (row / "verified.json.sig").write_bytes(signature)


def stripped_signature(row: Path) -> None:
    record(row)


def failed_verification(row: Path) -> None:
    MAINTAINER.sign(record(row, plausible=False), RECORD)


def false_origin(row: Path) -> None:
    """Claim that the project ran the row, signed by its author."""
    AUTHOR.sign(row / "bundle.json")


def record_signature_as_origin(row: Path) -> None:
    """Sign the bundle for another purpose."""
    MAINTAINER.sign(row / "bundle.json", RECORD)


HANDED_IN = (stripped_signature, signed_by_stranger, with_key_file, false_origin)
ON_THE_BOARD = (
    stripped_signature, signed_by_stranger, of_another_bundle, edited_after_signature, signed_for_bundles,
    signature_of_bundle_as_record, failed_verification, false_origin, record_signature_as_origin,
)  # fmt: skip


def record_attacks(door: Door, scratch: Path) -> Iterator[Outcome]:
    """Try every forged record: handed in with a bundle, and laid on the board by a pull request."""
    for change in HANDED_IN:
        bundle = copied(door.honest, scratch / "handed" / change.__name__)
        change(bundle)
        yield Outcome(
            f"{change.__name__}, handed in", entered(door, bundle, scratch / "in" / change.__name__)
        )
    for change in ON_THE_BOARD:
        root = scratch / "on" / change.__name__
        yield Outcome(f"{change.__name__}, on the board", laid(door, root, change))


def laid(door: Door, root: Path, change: Callable[[Path], None]) -> Standing | str:
    """Alter an honest row of a board, and return its standing or the error of the pages."""
    row = copied(door.honest, root / "results" / "tiny-demo")
    keys(root)
    change(row)
    return standing(row, root)


def entered(door: Door, bundle: Path, root: Path) -> Standing | str:
    """Hand a bundle in, and return the standing of its row, or the error."""
    root.mkdir(parents=True)
    keys(root)
    try:
        (row,) = add([bundle], root, partial(require_no_fault, request=door.request, cache=door.cache))
    except BenchmarkError as error:
        return str(error)
    return standing(row, root)


def standing(row: Path, root: Path) -> Standing | str:
    try:
        return read_standing(row, read_keyring(root))
    except BenchmarkError as error:
        return str(error)


def keys(root: Path) -> None:
    (root / "maintainers").write_text(MAINTAINER.line())
    (root / "allowed_signers").write_text(AUTHOR.line(BUNDLE))


def copied(bundle: Path, into: Path) -> Path:
    """Copy an unsigned bundle."""
    row = Path(shutil.copytree(bundle, into / bundle.name))
    (row / "bundle.json.sig").unlink(missing_ok=True)
    return row


def renamed_copycat(door: Door, scratch: Path) -> Outcome:
    """Show training images under a generator's name, with a gate that reports no copy."""
    row = copied(door.honest, scratch / "copycat")
    protocol = claimed_protocol(read_bundle(row).manifest, door.request.task)
    data = door.cache.of(protocol)
    train = data.folds[0].train.to_single_label()
    shown = range(0, len(train.label), 2)
    pd.DataFrame(
        {
            "class": [train.classes[train.label[k]] for k in shown],
            "fold": 0,
            "image": [png(train.image[k]) for k in shown],
        }
    ).to_parquet(row / "samples" / "images.parquet", index=False)
    edit(row, lambda content: content["samples"].update(shown=len(shown)))
    vouch(row)
    return Outcome("renamed copycat, flag turned", entered(door, row, scratch / "copies"))
