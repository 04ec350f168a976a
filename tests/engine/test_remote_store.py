"""Results travel by key: whole or not at all, past outages, and refused when they are not what they say."""

import io
import tarfile
from pathlib import Path

import fsspec
import pytest

from benchmark.engine import remote_store
from benchmark.engine.remote_store import RemoteStore
from benchmark.engine.store import Store
from benchmark.errors import StoreError

PLACE = ("fit", "k" * 40)


@pytest.fixture(autouse=True)
def soon(monkeypatch):
    """Wait only a moment between attempts."""
    monkeypatch.setattr(remote_store, "PAUSES", (0.01,) * 6)


@pytest.fixture(params=["memory", "folder"])
def url(request, tmp_path) -> str:
    """A remote place in memory, and one in a folder, which has no whole objects."""
    return f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path / "remote")


def store_with(root: Path, text: str = "hello") -> Store:
    store = Store(root)
    claim = store.claim(*PLACE)
    (claim.out / "deep").mkdir()
    (claim.out / "deep" / "a.txt").write_text(text)
    store.commit(*PLACE, claim.out, {"result": {"n": 1}})
    claim.discard()
    return store


def test_results_travel_by_key(url, tmp_path):
    """One store pushes, another pulls the same bytes, and both only once."""
    first, second = store_with(tmp_path / "first"), Store(tmp_path / "second")
    assert RemoteStore(url).push(first, [PLACE, ("fit", "unknown")]) == [PLACE]
    assert RemoteStore(url).push(first, [PLACE]) == []
    assert RemoteStore(url).places() == {PLACE}
    assert RemoteStore(url).pull(second, [PLACE, ("fit", "elsewhere")]) == [PLACE]
    assert RemoteStore(url).pull(second, [PLACE]) == []
    for name in ("manifest.json", "deep/a.txt"):
        assert (second.folder(*PLACE) / name).read_bytes() == (first.folder(*PLACE) / name).read_bytes()
    assert list((second.root / "work").iterdir()) == []


def test_a_changed_archive_is_refused(url, tmp_path):
    """One file differs from the hash of its manifest: nothing is committed, and the archive is named."""
    first, second = store_with(tmp_path / "first"), Store(tmp_path / "second")
    (first.folder(*PLACE) / "deep" / "a.txt").write_text("hellO")
    RemoteStore(url).push(first, [PLACE])
    with pytest.raises(StoreError, match=r"k\.tar: 'deep/a\.txt' does not match its SHA-256"):
        RemoteStore(url).pull(second, [PLACE])
    assert second.get(*PLACE) is None
    assert list((second.root / "work").iterdir()) == []


def test_an_archive_that_leaves_its_folder_is_refused(url, tmp_path):
    """A path outside of the result is never written."""
    remote, content = RemoteStore(url), io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("../../escaped"))
    remote.fs.makedirs(f"{remote.root}/results/fit", exist_ok=True)
    remote.fs.pipe_file(remote._path(PLACE), content.getvalue())
    with pytest.raises(StoreError, match="is not an archive"):
        remote.pull(Store(tmp_path / "second"), [PLACE])
    assert not list(tmp_path.rglob("escaped"))


def test_an_outage_is_waited_for(tmp_path, monkeypatch):
    """Three answers of 500 to every kind of call cost only time."""
    first, second = store_with(tmp_path / "first"), Store(tmp_path / "second")
    remote, calls = RemoteStore(f"memory://{tmp_path.name}"), {}

    def failing(name):
        real = getattr(remote.fs, name)

        def call(*arguments, **keywords):
            calls[name] = calls.get(name, 0) + 1
            if calls[name] <= 3:
                raise OSError("We encountered an internal error. Please try again. (500)")
            return real(*arguments, **keywords)

        return call

    for name in ("find", "put_file", "get_file"):
        monkeypatch.setattr(remote.fs, name, failing(name))
    assert remote.push(first, [PLACE]) == [PLACE]
    assert remote.pull(second, [PLACE]) == [PLACE]
    assert calls == {"find": 5, "put_file": 4, "get_file": 4}


@pytest.mark.parametrize(
    ("error", "attempts", "remedy"),
    [
        (PermissionError("The AWS Access Key Id you provided does not exist"), 1, "AWS_ACCESS_KEY_ID"),
        (FileNotFoundError("The specified bucket does not exist"), 1, "Correct the URL"),
        (OSError("Service unavailable"), 7, "Try again later"),
    ],
)
def test_a_refusal_is_one_line(tmp_path, monkeypatch, error, attempts, remedy):
    """A wrong key or bucket is not tried again; the remedy fits the fault."""
    remote, calls = RemoteStore(f"memory://{tmp_path.name}"), []

    def refuse(*_, **__):
        calls.append(1)
        raise error

    monkeypatch.setattr(remote.fs, "put_file", refuse)
    with pytest.raises(StoreError) as caught:
        remote.push(store_with(tmp_path / "first"), [PLACE])
    assert str(caught.value).startswith(f"remote store memory://{tmp_path.name}: {error}")
    assert remedy in str(caught.value)
    assert len(calls) == attempts


@pytest.mark.parametrize("url", ["nosuch://bucket", "s4://x/y"])
def test_an_unknown_protocol_is_one_line(url):
    """The form of a URL is named."""
    with pytest.raises(StoreError, match=r"^remote store \w+://.*: .*\n *Correct the URL"):
        RemoteStore(url)


def test_protocols_of_whole_objects_are_fsspecs_names():
    """Each of them is known to fsspec."""
    assert set(remote_store.ATOMIC) <= set(fsspec.available_protocols())
