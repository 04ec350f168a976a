"""Datasets of shards: round trips, resumable builds, and refusal of incomplete datasets."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmark.datasets._build import BuildConfig, build
from benchmark.engine import claim
from benchmark.errors import DataError, StoreError
from benchmark.images import shards
from benchmark.images.lazy import LazyImages
from benchmark.plugins.registry import Plugin
from support.samples import ROOT
from support.stores import full_set, store

SOURCE = '''
"""A source that draws noise, and leaves a mark per picture that it draws."""
import time
from pathlib import Path
import numpy as np
from pydantic import BaseModel
from benchmark.errors import DataError
from benchmark.images.lazy import LazyImages
from benchmark.images.image_set import ImageSet

version = "1"
conditions = frozenset()

class Params(BaseModel, extra="forbid", frozen=True):
    count: int = 50
    root: Path = Path(".")
    seconds: float = 0.0
    broken: int = -1

def fingerprint(params):
    return "f"

def images(params, *, classes, image_size, reserve_per_class, seed):
    n = params.count
    def read(row):
        if row == params.broken:
            raise DataError("picture 7", "is broken", "Replace it.")
        time.sleep(params.seconds)
        if params.root.name:
            with (params.root / "drawn.txt").open("a") as file:
                file.write(f"{row}\\n")
        return np.random.default_rng([seed, row]).integers(0, 256, (image_size, image_size), np.uint8)
    ids = np.array([f"i{k}" for k in range(n)])
    return ImageSet(
        image=LazyImages.each(read, n, image_size), label=np.arange(n) % 2, classes=classes, image_id=ids,
        patient_id=ids, origin=np.full(n, "real:x"), age=np.array([None, 3.0] * (n // 2), dtype=object),
        split=np.array(["train", "test"] * (n // 2)), card={"name": "noise", "notes": ["made up"]},
    )
'''


def config(folder: Path, **changes: object) -> BuildConfig:
    """Return a recipe of the source above, with the given ``params`` and ``paths``."""
    path = folder / "noisy.py"
    if not path.exists():
        path.write_text(SOURCE)
    plain = BuildConfig(
        plugin=Plugin("sources", "noisy", "file", str(path)),
        version="1",
        fingerprint="f",
        params={},
        paths={},
        classes=("a", "b"),
        image_size=8,
        shard_size=16,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("multilabel", [False, True])
@pytest.mark.parametrize("opened", [shards.open, shards.read_shards])
def test_every_column_round_trips(tmp_path, multilabel, opened):
    """All columns, single-label or multi-label, are equal after Parquet and after the memory map."""
    images = full_set(multilabel=multilabel)
    again = opened(store(tmp_path, images))
    assert again.content_hash() == images.content_hash()
    assert again.label.dtype == images.label.dtype
    assert again.card["name"] == "all columns"


def test_unknown_values_stay_unknown(tmp_path):
    """None in a text or age column stays None, also where a shard has no other value."""
    n = 20
    ages = np.array([None] * 10 + [50.0] * 10, dtype=object)
    views = np.array(["PA"] * 10 + [None] * 10, dtype=object)
    images = replace(full_set(n), age=ages, view=views)
    again = shards.open(store(tmp_path, images, shard=10))
    assert again.view.tolist() == views.tolist()
    assert [a is None or np.isnan(a) for a in again.age] == [True] * 10 + [False] * 10


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 19), max_size=30), st.integers(1, 25))
def test_any_rows_in_any_order(tmp_path_factory, rows, shard):
    """Reading indices in any order, with repeats, gives their images."""
    images = full_set()
    again = shards.read_shards(store(tmp_path_factory.mktemp("s"), images, shard))
    np.testing.assert_array_equal(again.image[np.array(rows, np.int64)], images.image[rows])
    np.testing.assert_array_equal(again.mask[np.array(rows, np.int64)], images.mask[rows])


def test_large_images_are_written_by_row_group(tmp_path, monkeypatch):
    """The row group, not the shard, bounds the memory of a writer."""
    monkeypatch.setattr(shards, "GROUP_BYTES", 3 * 36)
    block_sizes = []
    images = full_set()
    lazy = LazyImages(lambda rows: block_sizes.append(len(rows)) or images.image[rows], images.image.shape)
    again = shards.read_shards(store(tmp_path, replace(images, image=lazy), shard=20))
    assert max(block_sizes) == 3
    assert again.content_hash() == images.content_hash()


def test_pixels_stay_on_disk(tmp_path):
    """The memory map's pixels are views of the file."""
    images = shards.open(store(tmp_path, full_set()))
    assert isinstance(images.image, np.ndarray)
    assert not images.image.flags.owndata
    assert not images.image.flags.writeable


def test_datasets_library_opens_the_shards(tmp_path):
    """``load_dataset("parquet")`` has all rows, and the bytes are the pixels."""
    import datasets

    images = full_set(multilabel=True)
    folder = store(tmp_path / "d", images) if (tmp_path / "d").mkdir() is None else tmp_path
    files = sorted(str(p) for p in folder.glob("*.parquet"))
    table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=str(tmp_path / "c"))
    assert table["image_id"][:] == images.image_id.tolist()
    assert table["label"][:] == images.label.tolist()
    pixels = np.stack([np.frombuffer(row, np.uint8).reshape(6, 6) for row in table["image"][:]])
    np.testing.assert_array_equal(pixels, images.image)


def test_datasets_library_opens_the_memory_map(tmp_path):
    """In ``images.arrow`` images are two-dimensional, and labels have their class names."""
    import datasets

    images = full_set()
    folder = store(tmp_path, images)
    shards.open(folder)
    mapped = datasets.Dataset.from_file(str(folder / "images.arrow")).with_format("numpy")
    np.testing.assert_array_equal(mapped[:]["image"], images.image)
    assert mapped.features["label"].names == list(images.classes)
    assert mapped.features["label"].int2str(int(mapped[3]["label"])) == images.classes[images.label[3]]


def test_build_has_the_sources_images(tmp_path):
    """A build has the images and the card of the source, whatever the shards."""
    build_config = config(tmp_path)
    about = build(build_config, tmp_path / "out", workers=1)
    images = shards.open(tmp_path / "out")
    assert images.content_hash() == replace(build_config.images(), age=images.age).content_hash()
    assert [record["rows"] for record in about["shards"]] == [16, 16, 16, 2]
    assert images.card["notes"] == ["made up"]


def test_same_bytes_with_any_number_of_workers(tmp_path):
    """One process and two workers write the same files."""

    def files(folder: Path) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in folder.glob("*.*") if not p.name.startswith(".")}

    build(config(tmp_path), tmp_path / "one", workers=1)
    build(config(tmp_path), tmp_path / "two", workers=2)
    assert len(files(tmp_path / "one")) == 4 * 2 + 2
    assert files(tmp_path / "one") == files(tmp_path / "two")


def drawn(folder: Path) -> list[int]:
    """Return the rows requested from the source, in order."""
    path = folder / "drawn.txt"
    return [int(row) for row in path.read_text().split()] if path.exists() else []


def test_limit_is_spread_over_the_source(tmp_path):
    """A limited build takes images evenly from the source, not from its start."""
    build(config(tmp_path, limit=5), tmp_path / "out", workers=1)
    assert shards.open(tmp_path / "out").image_id.tolist() == ["i0", "i10", "i20", "i30", "i40"]


def test_finished_shards_are_reused(tmp_path):
    """A lost or damaged shard alone is written again; a finished build does nothing."""
    build_config, out = config(tmp_path, paths={"root": str(tmp_path)}), tmp_path / "out"
    first = build(build_config, out, workers=1)
    assert sorted(drawn(tmp_path)) == list(range(50))
    (tmp_path / "drawn.txt").unlink()
    assert build(build_config, out, workers=1) == first
    assert drawn(tmp_path) == []
    (out / "dataset.json").unlink()
    (out / shards.part_name(1, 4)).write_bytes(b"cut off")
    assert build(build_config, out, workers=1) == first
    assert drawn(tmp_path) == list(range(16, 32))


BUILD = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from images.test_shards import config
from benchmark.datasets._build import build
if __name__ == "__main__":
    here = Path({here!r})
    build(config(here, params={{"seconds": 0.01}}, paths={{"root": str(here)}}), here / "out", workers=2)
"""


def test_killed_build_resumes(tmp_path):
    """After kill -9 of the builder its workers end, partial files do not count, and finished shards stay."""
    script = tmp_path / "build.py"
    script.write_text(BUILD.format(tests=str(ROOT / "tests"), here=str(tmp_path)))
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen([sys.executable, str(script)], env=environ)
    out = tmp_path / "out"
    wait_for(lambda: any(out.glob("part-*.json")))
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait_for(lambda: still(tmp_path / "drawn.txt", 1.0))
    finished = {
        p: p.stat().st_mtime_ns for p in out.glob("part-*.parquet") if p.with_suffix(".json").exists()
    }
    assert finished
    assert not shards.is_store(out)
    with pytest.raises(DataError, match=r"dataset\.json"):
        shards.open(out)
    build_config = config(tmp_path, params={"seconds": 0.01})
    build(replace(build_config, params={"seconds": 0.01}), out, workers=1)
    assert {p: p.stat().st_mtime_ns for p in finished} == finished
    assert len(shards.open(out)) == 50
    assert not list(out.glob("*.part"))


def wait_for(condition, seconds: float = 60) -> None:
    """Wait until the condition holds, or fail."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.01)


def still(path: Path, seconds: float) -> bool:
    """Return whether a file is unchanged for ``seconds``."""
    return path.exists() and time.time() - path.stat().st_mtime > seconds


@pytest.mark.parametrize(
    "changes", [{"seed": 1}, {"image_size": 9}, {"fingerprint": "g"}, {"version": "2"}, {"shard_size": 8}]
)
def test_another_recipe_is_refused(tmp_path, changes):
    """A folder built from another recipe is refused, and the difference is named."""
    build(config(tmp_path, limit=4), tmp_path / "out", workers=1)
    with pytest.raises(DataError, match=next(iter(changes))):
        build(config(tmp_path, limit=4, **changes), tmp_path / "out", workers=1)


def test_moved_source_is_the_same_source(tmp_path):
    """Paths are not part of the identity; the fingerprint identifies the content."""
    one, other = (config(tmp_path, paths={"root": str(tmp_path / name)}) for name in ("x", "y"))
    assert one.identity() == other.identity()


def test_broken_image_ends_the_build(tmp_path):
    """A fault in the source ends the build with the source's error, and leaves no dataset."""
    with pytest.raises(DataError, match="picture 7"):
        build(config(tmp_path, params={"broken": 20}), tmp_path / "out", workers=1)
    assert not shards.is_store(tmp_path / "out")


def test_full_disk_leaves_no_partial_files(tmp_path, monkeypatch):
    """A full disk gives one clear line, without a temporary file or a manifest."""
    import pyarrow.parquet as pq

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pq.ParquetWriter, "write_table", full)
    images = full_set()
    with pytest.raises(StoreError, match="No space left"):
        shards.write_shard(tmp_path / "part-00000-of-00001.parquet", images, shards.schema_of(images))
    assert list(tmp_path.iterdir()) == []


LIMITED = """
import resource, signal
from pathlib import Path
from benchmark.cli.parser import main
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))
if __name__ == "__main__":
    raise SystemExit(main(["data", "build", "--source", {source!r}, "--classes", "a,b", "--size", "64",
                           "--root", {root!r}, "--workers", "2", "--out", {out!r}]))
"""


def test_refused_write_ends_the_command_with_one_line(tmp_path):
    """A write that the system refuses in a worker gives status 1 and one line, and no finished build."""
    config(tmp_path)
    script = tmp_path / "limited.py"
    script.write_text(
        LIMITED.format(source=str(tmp_path / "noisy.py"), root=str(tmp_path), out=str(tmp_path / "out"))
    )
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, str(script)], env=environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "out").glob("part-*"))


def test_folder_that_cannot_be_created(tmp_path):
    """A folder below a file is refused before the source is listed."""
    (tmp_path / "file").write_text("x")
    with pytest.raises(StoreError, match="cannot be written"):
        build(config(tmp_path), tmp_path / "file" / "out", workers=1)


def test_worker_that_the_system_kills(tmp_path):
    """The error reports the killed worker and the remedy."""
    source = SOURCE.replace("time.sleep(params.seconds)", "import os; os.kill(os.getpid(), 9)")
    (tmp_path / "noisy.py").write_text(source)
    with pytest.raises(StoreError, match="the system ended a worker"):
        build(config(tmp_path), tmp_path / "out", workers=2)


def test_concurrent_builds_are_refused(tmp_path, monkeypatch):
    """A folder under construction is not built a second time."""
    monkeypatch.setattr(claim, "PATIENCE_SECONDS", 0.0)
    (tmp_path / "out").mkdir()
    assert claim.take(tmp_path / "out", ".build")
    with pytest.raises(StoreError, match=f"process {os.getpid()} on .* is writing there"):
        build(config(tmp_path), tmp_path / "out", workers=1)


def damage(folder: Path) -> dict[str, SimpleNamespace]:
    """Return ways to damage a dataset, each with the expected message."""
    part = folder / shards.part_name(0, 3)
    listing = folder / "dataset.json"

    def longer(name: str) -> str:
        about = json.loads(listing.read_text())
        about["shards"][0]["file"] = name
        return json.dumps(about)

    return {
        "lost": SimpleNamespace(do=part.unlink, message="missing"),
        "cut": SimpleNamespace(
            do=lambda: part.write_bytes(part.read_bytes()[:-9]), message="bytes, expected"
        ),
        "other": SimpleNamespace(
            do=lambda: part.write_bytes(bytes(part.stat().st_size)), message="cannot be read"
        ),
        "no json": SimpleNamespace(do=lambda: listing.write_text("{"), message="cannot be read"),
        "outside": SimpleNamespace(do=lambda: listing.write_text(longer("../x.parquet")), message="missing"),
        "format": SimpleNamespace(
            do=lambda: listing.write_text(listing.read_text().replace("images/2", "images/9")),
            message="format",
        ),
    }


@pytest.mark.parametrize("kind", ["lost", "cut", "other", "no json", "outside", "format"])
def test_damaged_dataset_is_an_error(tmp_path, kind):
    """A lost, truncated or overwritten shard, and an invalid listing, are named by file."""
    folder = store(tmp_path, full_set())
    harm = damage(folder)[kind]
    harm.do()
    with pytest.raises(DataError, match=harm.message):
        shards.open(folder)


def test_map_follows_the_shards(tmp_path):
    """After a rebuild of the shards, the old memory-mapped file is not used."""
    shards.open(store(tmp_path, full_set()))
    other = replace(full_set(), image=255 - full_set().image)
    assert shards.open(store(tmp_path, other)).content_hash() == other.content_hash()
