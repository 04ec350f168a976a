"""Attacks on a bundle at the door of the leaderboards: edited fields, random damage, forged records.

An attack is stopped if ``leaderboard --add`` refuses the bundle, or if what it adds makes no other claim than
the honest bundle, apart from the fields that ``verify`` lists as unverifiable.
"""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.bundles.io import hashes, read_bundle
from benchmark.errors import BenchmarkError
from benchmark.submissions.accept import add
from benchmark.verification.check import SUBMITTED_ONLY, UNVERIFIABLE
from benchmark.verification.data import DataCache
from benchmark.verification.request import VerifyRequest
from benchmark.verification.verify import require_no_fault, verify
from support.honest import at

FILES = ("bundle.json", "predictions.parquet", "samples/grid.png", "samples/images.parquet")
EXTREMES: list[Any] = [
    None, True, False, 0, -1, 2**31, 2**63, 10**400, -1.5, 1e308, 5e-324, "", "x" * 5000, "<script>", "../..",
    "\x00", "\x1b[2J", "\u202e", "ä", "1", [], {}, [[]], {"": {}}, [1] * 1000, "=cmd()", "0" * 64,
]  # fmt: skip
OMITTED = ("image_size", "fit_unit")  # older bundles do not state these
Attack = Callable[[Path, random.Random], None]  # changes the bundle in a folder


@dataclass
class Tally:
    """The outcomes of attacks.

    Attributes:
        refused, harmless: numbers of them; a harmless one was added without another claim.
        accepted: those that were added with another claim, or though ``verify`` refuses them.
        tracebacks: those that ended in an error that is not the suite's.
    """

    refused: int = 0
    harmless: int = 0
    accepted: list[str] = field(default_factory=list)
    tracebacks: list[str] = field(default_factory=list)

    @property
    def attacks(self) -> int:
        return self.refused + self.harmless + len(self.accepted) + len(self.tracebacks)

    @property
    def held(self) -> bool:
        return not self.accepted and not self.tracebacks

    def __str__(self) -> str:
        text = f"{self.attacks} attacks: {self.refused} refused, {self.harmless} without another claim, "
        return text + f"{len(self.accepted)} accepted, {len(self.tracebacks)} tracebacks"


@dataclass(frozen=True)
class Door:
    """An honest bundle, and what verifies its altered copies."""

    honest: Path
    request: VerifyRequest
    cache: DataCache

    def attack(self, name: str, change: Callable[[Path], None], tally: Tally, *, pack: bool = False) -> None:
        """Alter a copy of the bundle, perhaps pack it, hand it in, and count the outcome."""
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(shutil.copytree(self.honest, Path(scratch) / self.honest.name))
            change(copy)
            given = packed(copy, Path(scratch)) if pack else copy
            try:
                self.enter(name, given, Path(scratch) / "boards", tally)
            except Exception as error:  # whatever is not the suite's own is what we look for
                tally.tracebacks.append(f"{name}: {type(error).__name__}: {error}")

    def enter(self, name: str, given: Path, root: Path, tally: Tally) -> None:
        """Hand a bundle in and count the outcome."""
        door = partial(require_no_fault, request=self.request, cache=self.cache)
        try:
            (row,) = add([given], root, door)
        except BenchmarkError:
            if root.exists() and any(root.rglob("bundle.json")):
                tally.accepted.append(f"{name}: refused, but written")
            tally.refused += 1
            return
        report = verify(row, self.request, self.cache)
        claims = [check.name for check in report.failed] + self.claims(row)
        if report.signer is not None and report.signer.good:
            claims += [f for f in FILES if content(row / f) != content(self.honest / f)]
        if claims:
            tally.accepted.append(f"{name}: {claims}")
        else:
            tally.harmless += 1

    def claims(self, row: Path) -> list[str]:
        """Return the verifiable fields in which a row differs from the honest one, and altered tables."""
        before, after = read_bundle(self.honest), read_bundle(row)
        submitted = before.manifest.submission_type != "suite"
        fields = differing(before.manifest.record(), after.manifest.record())
        card = after.manifest.record()["row"]
        omitted = {f"row.{name}" for name in OMITTED if card[name] is None}
        omitted.add("files.predictions.parquet")  # what it hashes is compared below
        wrong = [path for path in fields if not is_unverifiable(path, submitted) and path not in omitted]
        keys = [_without_scores(bundle.predictions) for bundle in (before, after)]
        records = [p.name for p in row.iterdir() if p.name.startswith("verified")]
        return wrong + ([] if keys[0].equals(keys[1]) else ["predictions"]) + records


def content(path: Path) -> bytes | None:
    """Return the bytes of a file, None without it."""
    return path.read_bytes() if path.exists() else None


def _without_scores(table: pd.DataFrame | None) -> pd.DataFrame:
    """Return what a table of predictions is of; scores that leave every metric as it is claim nothing."""
    assert table is not None
    return table.drop(columns=[c for c in table.columns if c.startswith("score_")])


def is_unverifiable(path: str, submitted: bool) -> bool:
    """Return whether the field is listed as unverifiable."""
    return any(
        re.fullmatch(pattern, path) for name, pattern in UNVERIFIABLE.items()
        if submitted or name not in SUBMITTED_ONLY
    )  # fmt: skip


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Return the paths of all leaves of a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    empty = True
    for key, item in inner:
        empty = False
        yield from leaves(item, (*path, key))
    if empty:
        yield path


def other(value: Any) -> Any:
    """Return another value of the same kind, like a manual edit."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, (int, float)):
        return value + 1 if isinstance(value, int) else value * 1.01 + 0.001
    if isinstance(value, str):
        return ("b" if value[:1] == "a" else "a") + value[1:]
    return {"x": 1} if value == {} else ["x"] if value == [] else 1


def differing(one: Any, two: Any) -> list[str]:
    """Return the paths of the leaves in which two values differ; 1 equals 1.0, not True."""
    own, others = ({".".join(map(str, p)): at(v, p)[p[-1]] for p in leaves(v) if p} for v in (one, two))
    return [
        p
        for p in own.keys() | others.keys()
        if p not in own or p not in others or not alike(own[p], others[p])
    ]


def alike(one: Any, two: Any) -> bool:
    """Return whether two leaves are equal; 1 equals 1.0, not True."""
    return bool(one == two) and isinstance(one, bool) == isinstance(two, bool)


def edited_fields(door: Door, every: bool = True) -> Tally:
    """Edit each field of ``bundle.json`` in turn, or the first of each part."""
    content, tally, parts = json.loads((door.honest / "bundle.json").read_text()), Tally(), set[str]()
    for path in leaves(content):
        if every or path[0] not in parts:
            door.attack(".".join(map(str, path)), partial(set_leaf, path=path), tally)
        parts.add(path[0])
    return tally


def set_leaf(folder: Path, path: tuple[Any, ...]) -> None:
    """Replace one field by another value of its kind."""
    content = json.loads((folder / "bundle.json").read_text())
    holder = at(content, path)
    holder[path[-1]] = other(holder[path[-1]])
    (folder / "bundle.json").write_text(json.dumps(content))


def mutations(door: Door, count: int, seed: int = 0) -> Tally:
    """Damage the bundle at random, the kinds in turn."""
    tally = Tally()
    for number in range(count):
        kind, rng = MUTATIONS[number % len(MUTATIONS)], random.Random(f"{seed}/{number}")
        name = f"{kind.__name__} {number}"
        door.attack(name, partial(mutated, kind=kind, rng=rng), tally, pack=kind in PACKED)
    return tally


def mutated(folder: Path, kind: Attack, rng: random.Random) -> None:
    """Strip the signature of most bundles, which no change would survive, and damage the rest."""
    if rng.random() < 0.8:
        (folder / "bundle.json.sig").unlink(missing_ok=True)
    kind(folder, rng)


def damaged(before: bytes, rng: random.Random) -> bytes:
    """Return bytes with some flipped, cut off, inserted or appended."""
    after = bytearray(before)
    for _ in range(rng.randint(0, 4)):
        after[rng.randrange(len(after))] ^= rng.randint(1, 255)
    if rng.random() < 0.2:
        del after[rng.randrange(len(after)) :]
    if rng.random() < 0.2:
        where = rng.randrange(len(after) + 1)
        after[where:where] = rng.randbytes(rng.randint(1, 8))
    return bytes(after)


def damage_json(folder: Path, rng: random.Random) -> None:
    """Damage the bytes of ``bundle.json``."""
    path = folder / "bundle.json"
    path.write_bytes(damaged(path.read_bytes(), rng))


def change_json(folder: Path, rng: random.Random) -> None:
    """Delete, replace or repeat values of ``bundle.json``."""
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    for _ in range(rng.randint(1, 3)):
        mutate(content, rng)
    path.write_text(json.dumps(content))


def mutate(content: Any, rng: random.Random) -> None:
    """Delete or replace a leaf or one of its parents."""
    paths = [p for p in leaves(content) if p]
    if not paths:
        return
    path = rng.choice(paths)
    path = path[: rng.randint(1, len(path))]
    holder, new = at(content, path), json.loads(json.dumps(rng.choice(EXTREMES)))
    act = rng.choice(["delete", "replace", "add"])
    if act == "delete":
        del holder[path[-1]]
    elif act == "replace":
        holder[path[-1]] = new
    elif isinstance(holder, dict):
        holder[str(new)[:50]] = holder[path[-1]]
    else:
        holder.append(holder[path[-1]])


def damage_file(folder: Path, rng: random.Random) -> None:
    """Damage a table or a picture, and state its new hash."""
    path = folder / rng.choice(FILES[1:])
    if path.exists():
        path.write_bytes(damaged(path.read_bytes(), rng))
    _vouch(folder)


def change_table(folder: Path, rng: random.Random) -> None:
    """Change, repeat, drop or exchange cells of the predictions, and state the new hash."""
    path = folder / "predictions.parquet"
    table = pd.read_parquet(path)
    column, row = rng.choice(list(table.columns)), rng.randrange(len(table))
    act = rng.choice(["exchange", "repeat", "drop", "column", "value"])
    if act == "exchange":
        table[column] = table[column].sample(frac=1, random_state=rng.randrange(2**31)).to_numpy()
    elif act == "repeat":
        table = pd.concat([table, table.iloc[row : row + 1]])
    elif act == "drop":
        table = table.drop(index=row)
    elif act == "column":
        table = table.drop(columns=column)
    else:
        value = table[column].iloc[row]
        changed = f"{value}x" if isinstance(value, str) else value + rng.choice([1e-3, 1, -1, 1e9])
        table[column] = [*table[column].iloc[:row], changed, *table[column].iloc[row + 1 :]]
    table.to_parquet(path, index=False)
    _vouch(folder)


def change_previews(folder: Path, rng: random.Random) -> None:
    """Damage one of the shown images, or change its class, and state the new hash."""
    path = folder / "samples" / "images.parquet"
    if not path.exists():
        return
    table = pd.read_parquet(path)
    row = rng.randrange(len(table))
    if rng.random() < 0.7:
        table.at[row, "image"] = damaged(table.at[row, "image"], rng)
    else:
        table.at[row, "class"] = rng.choice(["healthy", "<script>", "x" * 300, ""])
    table.to_parquet(path, index=False)
    _vouch(folder)


def change_card(folder: Path, rng: random.Random) -> None:
    """Change the submission card, or the card of the row."""
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    card = content["submission"] if content.get("submission") and rng.random() < 0.7 else content["row"]
    card[rng.choice(list(card))] = rng.choice(EXTREMES)
    path.write_text(json.dumps(content))


def add_files(folder: Path, rng: random.Random) -> None:
    """Add a file that no bundle has, a record or a signature, or a list of keys."""
    names = (
        "maintainers",
        "allowed_signers",
        "verified.json",
        "verified.json.sig",
        "bundle.json.sig",
        "x.pkl",
    )
    path = folder / rng.choice([*names, "samples/maintainers", "../maintainers"])
    path.write_bytes(rng.choice([b"", b"{}", rng.randbytes(50), (folder / "bundle.json").read_bytes()]))


def stay(folder: Path, rng: random.Random) -> None:
    """Leave the files; the archive is damaged instead."""
    (folder / ".damage").write_text(str(rng.randrange(2**31)))


def packed(folder: Path, into: Path) -> Path:
    """Pack a bundle as a ZIP and damage its bytes, or the names in it."""
    rng = random.Random((folder / ".damage").read_text())
    (folder / ".damage").unlink()
    buffer, target = io.BytesIO(), into / f"{folder.name}.zip"
    odd = ["../bundle.json", "/etc/x", "samples/", "a/../b", "C:x", "BUNDLE.json", "x.pkl", "maintainers"]
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as out:
        for name in (*FILES, "bundle.json.sig"):
            if (folder / name).exists():
                shown = rng.choice(odd) if rng.random() < 0.05 else name
                out.writestr(zipfile.ZipInfo(f"{folder.name}/{shown}"), (folder / name).read_bytes())
    target.write_bytes(damaged(buffer.getvalue(), rng))
    return target


def _vouch(folder: Path) -> None:
    path = folder / "bundle.json"
    content = json.loads(path.read_text())
    content["files"] = hashes(folder)
    path.write_text(json.dumps(content))


MUTATIONS: tuple[Attack, ...] = (
    damage_json, change_json, damage_file, change_table, change_previews, change_card, add_files, stay,
)  # fmt: skip
PACKED = (stay,)
