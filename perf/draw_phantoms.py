"""Measure the speed of the chest phantoms by size: images per CPU second on one core.

    OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 python perf/draw_phantoms.py

``--findings`` is the mean number of findings per image (0 to 3, drawn at random); sites, devices and
severities are random. The first row is the first phantom, for comparison.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from benchmark.datasets.phantom import chest
from benchmark.phantoms.radiograph import thorax


def requests(count: int, mean: float) -> list[tuple[str, ...]]:
    """Return the findings of every image; binomial with at most three."""
    rng = np.random.default_rng(0)
    return [
        tuple(str(name) for name in rng.choice(thorax.FINDINGS, number, replace=False))
        for number in rng.binomial(3, mean / 3, count)
    ]


def rate(draw: Callable[[int], object], count: int) -> float:
    """Return images per CPU second after a warm-up of one image."""
    draw(count)
    start = time.process_time()
    for index in range(count):
        draw(index)
    return count / (time.process_time() - start)


def main() -> None:
    """Draw phantoms and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[64, 256, 1024])
    parser.add_argument("--seconds", type=float, default=4.0, help="approximate time per figure")
    parser.add_argument("--findings", type=float, default=1.5, help="mean findings per image, 0 to 3")
    options = parser.parse_args()
    requested = requests(2000, options.findings)
    mean = np.mean([len(names) for names in requested])
    print(f"{platform.machine()}, numpy {np.__version__}; {mean:.2f} findings per image")
    print(f"{'images per CPU second':24}" + "".join(f"{size:>8} px" for size in options.sizes))
    rows: dict[str, Callable[..., object]] = {
        "phantom.chest": lambda i, size: chest.draw(chest.CLASSES[i % 5], seed=0, index=i, size=size),
        "phantom.thorax PA, AP": lambda i, size: thorax.draw(requested[i], seed=0, index=i, size=size),
        "phantom.thorax LATERAL": lambda i, size: thorax.draw(
            requested[i], seed=0, index=i, size=size, view="LATERAL"
        ),
    }
    for name, draw in rows.items():
        figures = []
        for size in options.sizes:
            count = int(np.clip(options.seconds * 220 * (64 / size) ** 1.9, 2, 1500))
            figures.append(rate(partial(draw, size=size), count))
        print(f"{name:24}" + "".join(f"{figure:11.1f}" for figure in figures), flush=True)


if __name__ == "__main__":
    main()
