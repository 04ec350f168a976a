"""Build a large dataset and read it back: speed, memory and size.

    python perf/build_store.py [--images 200000] [--size 64] [--workers 2] [--keep FOLDER] [--libraries]

Builds with ``data build`` in a separate process. Prints images per second, the peak of the resident memory
summed over all processes (listing and conversion included), sizes on disk, and the read speed in order and at
random, from disk and from the page cache. ``--libraries`` adds the same reads with the ``datasets`` library
and directly from Parquet, ``--compressions`` a comparison of compressions.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

COHORT = 865 + 217  # images of phantom.chest without its fresh test patients
BATCH = 64


def resident(process: psutil.Process) -> int:
    """Return the resident bytes of a process and its children; shared pages count once per process."""
    total = 0
    for part in [process, *process.children(recursive=True)]:
        try:
            total += part.memory_info().rss
        except psutil.NoSuchProcess:
            continue
    return total


def built(command: list[str]) -> tuple[float, float, float]:
    """Run a command; return wall seconds, CPU seconds of all processes and peak GB."""
    began, peak = time.monotonic(), 0
    with subprocess.Popen(command) as child:
        process = psutil.Process(child.pid)
        while child.poll() is None:
            peak = max(peak, resident(process))
            time.sleep(0.1)
    if child.returncode:
        sys.exit(f"the build ended with status {child.returncode}")
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.monotonic() - began, used.ru_utime + used.ru_stime, peak / 2**30


def forget(folder: Path) -> None:
    """Ask the system to drop the folder's files from its cache, so that the next read is from disk."""
    for path in folder.iterdir():
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def rate(read: Callable[[np.ndarray], object], rows: np.ndarray, batch: int) -> float:
    """Return images per second for rows read in batches."""
    began = time.perf_counter()
    for start in range(0, len(rows), batch):
        read(rows[start : start + batch])
    return len(rows) / (time.perf_counter() - began)


def reads(folder: Path) -> dict[str, float]:
    """Return rates and memory of the memory map, in this process."""
    from benchmark.images import shards

    forget(folder)
    before = psutil.Process().memory_info().rss
    began = time.perf_counter()
    images = shards.open(folder)
    figures = {"open_seconds": time.perf_counter() - began}
    figures["table_mb"] = (psutil.Process().memory_info().rss - before) / 2**20
    order = np.arange(len(images))
    shuffled = np.random.default_rng(0).permutation(len(images))
    figures["in_order_from_disk"] = rate(lambda rows: images.image[rows].sum(), order, 512)
    figures["in_order_cached"] = rate(lambda rows: images.image[rows].sum(), order, 512)
    figures["random_batches_cached"] = rate(lambda rows: images.image[rows], shuffled, BATCH)
    figures["random_singles_cached"] = rate(
        lambda rows: images.image[int(rows[0])].sum(), shuffled[:50_000], 1
    )
    memory = psutil.Process().memory_info()
    figures["own_memory_mb"] = (memory.rss - memory.shared) / 2**20  # without the pages of the file
    del images  # mapped pages are not dropped
    forget(folder)
    images = shards.open(folder)
    figures["random_batches_from_disk"] = rate(
        lambda rows: images.image[rows].sum(), shuffled[:20_000], BATCH
    )
    return figures


def library_reads(folder: Path) -> dict[str, float]:
    """Return the same reads by the datasets library (memory-mapped cache) and directly from Parquet."""
    import datasets

    from benchmark.images import shards

    figures = {}
    with tempfile.TemporaryDirectory() as cache:
        began = time.perf_counter()
        files = sorted(map(str, folder.glob("*.parquet")))
        table = datasets.load_dataset("parquet", data_files=files, split="train", cache_dir=cache)
        figures["datasets_convert_seconds"] = time.perf_counter() - began
        shuffled = np.random.default_rng(0).permutation(len(table))
        pixels = table.select_columns("image")

        def read(rows: np.ndarray) -> np.ndarray:
            return np.stack([np.frombuffer(b, np.uint8) for b in pixels[rows.tolist()]["image"]])

        figures["datasets_random_batches"] = rate(read, shuffled[:20_000], BATCH)
        figures["datasets_in_order"] = rate(read, np.arange(min(50_000, len(table))), 512)
    images = shards.read_shards(folder)
    figures["parquet_in_order"] = rate(lambda rows: images.image[rows], np.arange(len(images)), 512)
    figures["parquet_random_batches"] = rate(lambda rows: images.image[rows], shuffled[: 5 * BATCH], BATCH)
    return figures


def compressions(folder: Path) -> None:
    """Print bytes per image, and images per second written and read in memory, of each compression."""
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    from benchmark.images import shards

    images = shards.open(folder)
    for name in ("image", "mask"):
        pixels = getattr(images, name)
        if pixels is None:
            continue
        table = pa.table({name: pa.array([picture.tobytes() for picture in pixels[:2048]])})
        for kind, level in (("none", None), ("snappy", None), ("zstd", 1), ("zstd", 3), ("zstd", 9)):
            file = io.BytesIO()
            began = time.process_time()
            pq.write_table(table, file, compression=kind, compression_level=level, use_dictionary=False)
            wrote = time.process_time()
            pq.read_table(io.BytesIO(file.getvalue()), use_threads=False)
            read = time.process_time()
            each = len(file.getvalue()) / table.num_rows
            pace = [table.num_rows / max(span, 1e-6) for span in (wrote - began, read - wrote)]
            print(
                f"{name} {kind} {level or ''}: {each:,.0f} bytes, {pace[0]:,.0f} written, {pace[1]:,.0f} read"
            )


def main() -> None:
    """Build the dataset, read it, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--source", default="phantom.chest")
    parser.add_argument("--set", nargs="+", help="parameters of the source; by default the requested number")
    parser.add_argument("--keep", type=Path, help="use this folder and do not delete it")
    parser.add_argument("--libraries", action="store_true", help="also read with other libraries")
    parser.add_argument("--compressions", action="store_true", help="also compare compressions")
    options = parser.parse_args()
    folder = options.keep or Path(tempfile.mkdtemp(prefix="synththorax-store-"))
    command = [sys.executable, "-m", "benchmark", "data", "build", "--source", options.source]
    command += ["--size", str(options.size), "--workers", str(options.workers), "--out", str(folder)]
    command += ["--limit", str(options.images)]
    if options.set or options.source == "phantom.chest":
        command += ["--set", *(options.set or [f"test_per_class={-(-(options.images - COHORT) // 5)}"])]
    seconds, busy, peak = built(command)
    about = json.loads((folder / "dataset.json").read_text())
    figures = {
        "images": about["rows"],
        "build_seconds": seconds,
        "images_per_second": about["rows"] / seconds,
        "build_cpu_seconds": busy,
        "images_per_cpu_second": about["rows"] / busy,
        "peak_summed_gb": peak,
        "shards_mb": sum(record["bytes"] for record in about["shards"]) / 2**20,
        "mapped_mb": (folder / "images.arrow").stat().st_size / 2**20,
        **reads(folder),
        **(library_reads(folder) if options.libraries else {}),
    }
    if options.compressions:
        compressions(folder)
    for name, value in figures.items():
        print(f"{name}: {value:,.2f}" if value < 1000 else f"{name}: {value:,.0f}")


if __name__ == "__main__":
    main()
