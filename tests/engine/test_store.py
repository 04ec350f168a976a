"""The store and its notion of a finished result."""

from __future__ import annotations

import json
import os

import pytest

from benchmark.cli.parser import main
from benchmark.engine.claim import Claim
from benchmark.engine.store import Store, damage
from benchmark.errors import StoreError
from benchmark.utils.files import json_text


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def written(store, text="hello"):
    claim = store.claim("stage", "k")
    (claim.out / "a.txt").write_text(text)
    return claim


def committed(store):
    claim = written(store)
    result = store.commit("stage", "k", claim.out, {"result": 1})
    claim.discard()
    return result


def test_committed_result_is_found(store):
    """After commit a key has a result, and no unfinished work."""
    committed(store)
    assert store.get("stage", "k").manifest["result"] == 1
    assert not list((store.root / "work").iterdir())


def test_begun_result_is_not_done(store):
    """Files without a manifest, as a kill leaves them, do not count."""
    written(store)
    assert store.get("stage", "k") is None


@pytest.mark.parametrize("damage", ["remove", "truncate", "manifest"])
def test_damaged_result_is_not_done(store, damage):
    """A result with a missing or truncated file, or a broken manifest, is computed again."""
    folder = committed(store).folder
    if damage == "remove":
        (folder / "a.txt").unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"key": "k"')
    else:
        (folder / "a.txt").write_text("h")
    assert store.get("stage", "k") is None
    assert committed(store).manifest["result"] == 1
    assert (folder / "a.txt").read_text() == "hello"
    assert not list((store.root / "work").iterdir())


def test_the_first_of_two_writers_wins(store):
    """The second gets the first one's result, whose files stay as they are."""
    first, second = written(store), Claim(store.root / "work" / "k.second")
    second.out.mkdir(parents=True)
    (second.out / "a.txt").write_text("other")
    inode = store.commit("stage", "k", first.out, {"result": 1}).folder.stat().st_ino
    result = store.commit("stage", "k", second.out, {"result": 2})
    assert result.manifest["result"] == 1
    assert (result.folder / "a.txt").read_text() == "hello"
    assert result.folder.stat().st_ino == inode
    assert not second.out.exists()


def test_a_whole_result_is_put_back(store):
    """A writer that takes a result for the damaged one that it has just replaced does not delete it."""
    folder = committed(store).folder
    store._set_aside(folder, "k")
    assert (folder / "a.txt").read_text() == "hello"


def test_reuse_trusts_sizes_and_verification_hashes(store, monkeypatch, capsys):
    """A changed file of the same size is reused, and ``store verify`` names it; a whole store passes."""
    monkeypatch.setenv("SYNTHTHORAX_STORE", str(store.root))
    folder = committed(store).folder
    assert main(["store", "verify", "--workers", "1"]) == 0
    (folder / "a.txt").write_text("hellO")
    assert store.get("stage", "k") is not None
    assert main(["store", "verify", "--workers", "1"]) == 1
    output = capsys.readouterr()
    assert output.err == f"{folder}: 'a.txt' does not match its SHA-256\n"
    assert "1 result in" in output.out
    (folder / "a.txt").unlink()
    assert damage(folder) == "is incomplete, and will be computed again"


def test_every_bit_of_a_manifest_is_protected(store):
    """Of all flips of a single bit every seventh is tried: at each place of a byte, in each kind of value."""
    claim = written(store)
    scores = {"val_fid": 437.8, "small": 1.5e-07, "class": "K\u00f6rper", "whole": None, "n": [1, 2]}
    folder = store.commit("stage", "k", claim.out, {"result": scores}).folder
    path = folder / "manifest.json"
    whole = path.read_bytes()
    for bit in range(0, 8 * len(whole), 7):
        flipped = bytearray(whole)
        flipped[bit // 8] ^= 1 << bit % 8
        path.write_bytes(flipped)
        assert store.get("stage", "k") is None, (bit, bytes(flipped))
    assert damage(folder) == "'manifest.json' does not match its seal, and will be computed again"
    path.write_bytes(whole)
    assert store.get("stage", "k").manifest["result"] == scores


def test_an_edited_figure_does_not_count(store):
    """An FID divided by ten is damage; so is a manifest without a seal."""
    claim = written(store)
    folder = store.commit("stage", "k", claim.out, {"result": {"fid": 437.8}}).folder
    path = folder / "manifest.json"
    whole = path.read_text()
    path.write_text(whole.replace("437.8", "43.78"))
    assert store.get("stage", "k") is None
    record = json.loads(whole)
    del record["seal"]
    path.write_text(json_text(record))
    assert store.get("stage", "k") is None


def test_manifest_of_another_key_does_not_count(store):
    """A folder copied under another key is not that key's result."""
    folder = committed(store).folder
    os.rename(folder, folder.with_name("other"))
    assert store.get("stage", "other") is None


def test_manifest_names_every_file_with_its_hash(store):
    """The manifest has the SHA-256 of 'hello'."""
    files = json.loads((committed(store).folder / "manifest.json").read_text())["files"]
    assert files["a.txt"]["sha256"].startswith("2cf24dba5fb0a30e26e83b2ac5b9e29e")


def test_store_that_cannot_be_written_is_an_error(tmp_path):
    """A file at the store's path gives a one-line error with the remedy."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(StoreError, match="SYNTHTHORAX_STORE"):
        Store(tmp_path / "store")


def test_full_disk_is_an_error():
    """Writing to a full device raises a StoreError with the reason and the remedy."""
    from benchmark.engine.store import store_errors

    if not os.path.exists("/dev/full"):
        pytest.skip("this system has no /dev/full")
    with pytest.raises(StoreError, match="No space left on device"), store_errors("here"):  # noqa: SIM117
        with open("/dev/full", "wb", buffering=0) as handle:
            handle.write(b"x")
