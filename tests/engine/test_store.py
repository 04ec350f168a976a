"""The store and its notion of a finished result."""

from __future__ import annotations

import json
import os

import pytest

from benchmark.engine.store import Store
from benchmark.errors import StoreError


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


def committed(store, key="k"):
    folder = store.begin(key)
    (folder / "a.txt").write_text("hello")
    return store.commit("stage", key, {"result": 1})


def test_committed_result_is_found(store):
    """After commit a key has a result, and its scratch folder is gone."""
    store.work("k")
    committed(store)
    assert store.get("stage", "k").manifest["result"] == 1
    assert not (store.root / "work" / "k").exists()


def test_begun_result_is_not_done(store):
    """Files without a manifest, as a kill leaves them, do not count."""
    (store.begin("k") / "a.txt").write_text("half")
    assert store.get("stage", "k") is None


@pytest.mark.parametrize("damage", ["edit", "remove", "truncate", "manifest"])
def test_damaged_result_is_not_done(store, damage):
    """A result with a changed, missing or truncated file, or a broken manifest, is computed again."""
    folder = committed(store).folder
    if damage == "remove":
        (folder / "a.txt").unlink()
    elif damage == "manifest":
        (folder / "manifest.json").write_text('{"key": "k"')
    else:
        (folder / "a.txt").write_text("hellO" if damage == "edit" else "h")
    assert store.get("stage", "k") is None
    assert committed(store).manifest["result"] == 1


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
