"""Random changes of a bundle never give a traceback, and no changed bundle is accepted.

A known author signs the bundle. An accepted bundle with that signature has the signed bytes; one without a
signature differs only in fields that cannot be verified.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmark.bundles.schema import Manifest
from benchmark.intake.signature import NAMESPACE, sign
from benchmark.verification.request import VerifyRequest
from benchmark.verification.verify import verify
from support.honest import at
from support.samples import TINY
from verification.test_verify import is_unverifiable, leaves

if shutil.which("ssh-keygen") is None:
    pytest.skip("ssh-keygen is not installed", allow_module_level=True)

FILES = ("bundle.json", "predictions.parquet", "samples/grid.png", "samples/images.parquet")
EXTREMES = [
    None, True, False, 0, -1, 2**31, 2**63, 10**400, -1.5, 1e308, 5e-324, "", "x" * 5000, "<script>", "../..",
    "\x00", "\x1b[2J", "\u202e", "ä", "1", [], {}, [[]], {"": {}}, [1] * 1000, "=cmd()", "0" * 64,
]  # fmt: skip
deep: Any = 1
for _ in range(200):
    deep = [deep]
EXTREMES.append(deep)
CALM = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


@pytest.fixture(scope="session")
def signed(originals: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, VerifyRequest]:
    """A signed bundle and a verification request that knows its author."""
    folder = tmp_path_factory.mktemp("signed")
    bundle = Path(shutil.copytree(originals / "ddpm", folder / "ddpm"))
    key = folder / "key"
    command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", str(key)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    sign(bundle / "bundle.json", key)
    known = folder / "allowed_signers"
    public = key.with_suffix(".pub").read_text()
    known.write_text(f'ann@example.org namespaces="{NAMESPACE}" {public}')
    options = VerifyRequest(task=TINY, allowed_signers=known)
    report = verify(bundle, options)
    assert report.failed == []
    assert report.signer is not None
    assert report.signer.principal == "ann@example.org"
    return bundle, options


@contextmanager
def copied(bundle: Path) -> Iterator[Path]:
    """Yield a temporary copy."""
    with TemporaryDirectory() as folder:
        yield Path(shutil.copytree(bundle, Path(folder) / bundle.name))


def content(folder: Path) -> dict[str, bytes]:
    """Return the bytes of every signed file."""
    return {name: (folder / name).read_bytes() for name in FILES if (folder / name).is_file()}


def evaluator(path: Path, options: VerifyRequest, original: Path, now: dict[str, bytes] | None) -> None:
    """Verify without a traceback; a bundle with a valid signature is accepted only if its bytes are the
    signed ones."""
    report = verify(path, options)
    assert all(isinstance(c.line(), str) for c in report.checks)
    accepted = not report.failed and report.signer is not None and report.signer.good
    if accepted:
        assert now == content(original)


@st.composite
def damages(draw: st.DrawFn) -> Any:
    """Draw a change of a file's bytes: some flipped, cut off, or appended."""
    where, flips = (
        draw(st.floats(0, 1)),
        draw(st.lists(st.tuples(st.floats(0, 1), st.integers(1, 255)), max_size=4)),
    )
    cut, more = draw(st.booleans()), draw(st.binary(max_size=8))

    def damage(before: bytes) -> bytes:
        after = bytearray(before)
        for place, bits in flips:
            after[min(int(place * len(after)), len(after) - 1)] ^= bits
        return bytes(after[: int(where * len(after))] if cut else after) + more

    return damage


def file_is_damaged(signed: tuple[Path, VerifyRequest], name: str, damage: Any) -> None:
    """Verify the bundle with changed bytes of one file."""
    bundle, options = signed
    with copied(bundle) as folder:
        (folder / name).write_bytes(damage((folder / name).read_bytes()))
        evaluator(folder, options, bundle, content(folder))


def json_is_changed(
    signed: tuple[Path, VerifyRequest], changes: list[tuple[int, str, Any]], keep: bool
) -> None:
    """Verify the bundle with values of ``bundle.json`` deleted, replaced or repeated, with the signature or
    without."""
    bundle, options = signed
    before = json.loads((bundle / "bundle.json").read_text())
    after = json.loads(json.dumps(before))
    for index, act, value in changes:
        mutate(after, index, act, value)
    with copied(bundle) as folder:
        (folder / "bundle.json").write_text(json.dumps(after))
        if keep:
            evaluator(folder, options, bundle, content(folder))
            return
        (folder / "bundle.json.sig").unlink()
        report = verify(folder, options)
        if not report.failed:
            read = [Manifest.model_validate(content).record() for content in (before, after)]
            assert [p for p in differing(*read) if not is_unverifiable(p, submitted=False)] == []


def mutate(value: Any, index: int, act: str, new: Any) -> None:
    """Delete or replace a leaf or one of its parents."""
    paths = list(leaves(value))
    path = paths[index % len(paths)] if paths else ()
    path = path[: 1 + (index // 7) % len(path)] if path else ()
    if not path:
        return
    holder, new = at(value, path), json.loads(json.dumps(new))  # a copy, since changes may overlap
    if act == "delete":
        del holder[path[-1]]
    elif act == "replace":
        holder[path[-1]] = new
    elif isinstance(holder, dict):
        holder[str(new)[:50]] = holder[path[-1]]
    else:
        holder.append(holder[path[-1]])


def differing(one: Any, other: Any) -> list[str]:
    """Return the paths of the leaves in which two values differ."""
    both = [{".".join(map(str, p)): at(v, p)[p[-1]] if p else v for p in leaves(v)} for v in (one, other)]
    return [
        p
        for p in both[0].keys() | both[1].keys()
        if p not in both[0] or p not in both[1] or not alike(both, p)
    ]


def alike(both: list[dict[str, Any]], path: str) -> bool:
    """Return whether two values are equal, with 1 equal to 1.0."""
    one, other = both[0][path], both[1][path]
    return bool(one == other) and (isinstance(one, bool) == isinstance(other, bool))


def zip_is_damaged(signed: tuple[Path, VerifyRequest], damage: Any, names: list[str]) -> None:
    """Verify an archive with changed bytes, or changed names of its entries."""
    bundle, options = signed
    with TemporaryDirectory() as scratch:
        path = Path(scratch) / "ddpm.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
            for source, name in zip([*FILES, "bundle.json.sig"], names, strict=False):
                out.writestr(zipfile.ZipInfo(name.split("\0")[0] or "x"), (bundle / source).read_bytes())
        path.write_bytes(damage(path.read_bytes()))
        report = verify(path, options)
        accepted = not report.failed and report.signer is not None and report.signer.good
        if accepted:  # by their hashes, the content is the signed bytes
            assert report.bundle_sha256 == verify(bundle, options).bundle_sha256
        assert os.listdir(scratch) == ["ddpm.zip"]


CHANGES = st.lists(
    st.tuples(
        st.integers(0, 10**6), st.sampled_from(["delete", "replace", "add"]),
        st.one_of(st.sampled_from(EXTREMES), st.text(max_size=20), st.floats(), st.integers()),
    ), min_size=1, max_size=3,
)  # fmt: skip
NAMES = st.lists(
    st.one_of(
        st.sampled_from([*FILES, "bundle.json.sig"]),
        st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20),
        st.sampled_from(["../bundle.json", "/etc/x", "samples/", "a/../b", "C:x", "BUNDLE.json", "x.pkl"]),
    ), min_size=1, max_size=5,
)  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=CALM, derandomize=True)
@given(name=st.sampled_from([*FILES, "bundle.json.sig"]), damage=damages())
def test_damaged_files(signed: tuple[Path, VerifyRequest], name: str, damage: Any):
    """Damaged files give no traceback and are never accepted as signed."""
    file_is_damaged(signed, name, damage)


@settings(max_examples=60, deadline=None, suppress_health_check=CALM, derandomize=True)
@given(changes=CHANGES, keep=st.booleans())
def test_changed_json(signed: tuple[Path, VerifyRequest], changes: list[tuple[int, str, Any]], keep: bool):
    """Changed values of ``bundle.json`` give no traceback and are never accepted as signed."""
    json_is_changed(signed, changes, keep)


@settings(max_examples=60, deadline=None, suppress_health_check=CALM, derandomize=True)
@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(damage=damages(), names=NAMES)
def test_damaged_archives(signed: tuple[Path, VerifyRequest], damage: Any, names: list[str]):
    """A ZIP with changed bytes or names gives no traceback and is never accepted as signed."""
    zip_is_damaged(signed, damage, names)


THOROUGH = settings(max_examples=1000, deadline=None, suppress_health_check=CALM)


@pytest.mark.slow
@THOROUGH
@given(name=st.sampled_from([*FILES, "bundle.json.sig"]), damage=damages())
def test_damaged_files_by_the_thousand(signed: tuple[Path, VerifyRequest], name: str, damage: Any):
    """The test above with 1000 damaged files."""
    file_is_damaged(signed, name, damage)


@pytest.mark.slow
@THOROUGH
@given(changes=CHANGES, keep=st.booleans())
def test_changed_json_by_the_thousand(
    signed: tuple[Path, VerifyRequest], changes: list[tuple[int, str, Any]], keep: bool
):
    """The test above with 1000 changed manifests."""
    json_is_changed(signed, changes, keep)


@pytest.mark.slow
@THOROUGH
@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(damage=damages(), names=NAMES)
def test_damaged_archives_by_the_thousand(signed: tuple[Path, VerifyRequest], damage: Any, names: list[str]):
    """The test above with 1000 damaged archives."""
    zip_is_damaged(signed, damage, names)
