"""Fit SinGAN to the pneumonia stills of POCUS; measure its samples as Zhang et al. 2023, Table 2.

    python perf/singan_stills.py ROOT [--size 64] [--epochs 2000] [--updates 3] [--stills N] [--out grid.png]

ROOT is the folder ``data`` of the dataset. Every still is fitted alone and gives 32 samples (section 5.2).
Prints SIFID and SSIM of the samples with their source, for each still and over all of them; the table has
1.16 and 0.23. Writes a grid with a line per still: the source, then samples. The defaults are the published
protocol, fewer epochs and updates are not.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
import torch

from benchmark.datasets import pocus
from benchmark.generators import singan
from benchmark.images.image_set import ImageSet
from benchmark.images.plots import sample_grid
from benchmark.metrics import sifid, ssim
from benchmark.metrics.extractor.features import feature_maps, resolve
from benchmark.plugins.contexts import SampleContext
from benchmark.plugins.generator import SampleRequest
from benchmark.plugins.metric import Side
from benchmark.stages.fit_context import Fit
from benchmark.stages.previews import Preview

SAMPLES = 32  # of each still; Zhang et al. 2023, section 5.2
SHOWN = 9
PUBLISHED = {"SIFID": 1.16, "SSIM": 0.23}  # Zhang et al. 2023, Table 2


def fitted(still: ImageSet, params: singan.Params, precision: str) -> singan.SinGAN:
    """Return a SinGAN of one image, as the suite fits it, without previews."""
    gan = singan.SinGAN(params)
    with tempfile.TemporaryDirectory() as scratch:
        context = Fit(
            precision=precision,
            generator=gan,
            name="singan",
            previews=1,
            preview_fid=lambda generator, context: Preview(0.0),
            metric="preview",
            scratch=Path(scratch),
        )
        gan.fit(still, context)
    return gan


def figures(source: np.ndarray, drawn: np.ndarray, extractor: str) -> dict[str, float]:
    """Return the metrics of (N, S, S) samples and their (S, S) source."""
    given = {
        "images": drawn,
        "sources": np.repeat(source[None], len(drawn), 0),
        "feature_maps": lambda images: feature_maps(images, extractor),
    }
    side = Side(np.zeros(len(drawn), np.int64), ("pneumonia",), given)  # type: ignore[arg-type]
    return {
        "SIFID": sifid.Metric(sifid.Params(), "cpu").measure(side, side).value,
        "SSIM": ssim.Metric(ssim.Params(), "cpu").measure(side, side).value,
    }


def write_grid(lines: list[np.ndarray], path: Path) -> None:
    """Write a PNG with a line per still, given (M, S, S) images of each."""
    label = np.repeat(np.arange(len(lines)), [len(line) for line in lines])
    ids, names = np.arange(len(label)).astype(str), tuple(f"still {k + 1}" for k in range(len(lines)))
    images = ImageSet(np.concatenate(lines), label, names, ids, ids, np.full(len(label), "grid"))
    path.parent.mkdir(parents=True, exist_ok=True)
    sample_grid(images, path, columns=len(lines[0]), side=96)


def main() -> None:
    """Fit, draw, measure, show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=2000)
    parser.add_argument("--updates", type=int, default=3)
    parser.add_argument("--learning-rate", type=float, default=5e-4)
    parser.add_argument("--stills", type=int, default=10**6)
    parser.add_argument("--precision", default="bfloat16")
    parser.add_argument("--extractor", default="auto")
    parser.add_argument("--out", type=Path, default=Path("outputs/singan_stills.png"))
    given = parser.parse_args()
    torch.set_num_threads(1)
    extractor = resolve(given.extractor)
    params = singan.Params(
        epochs=given.epochs,
        critic_updates=given.updates,
        generator_updates=given.updates,
        learning_rate=given.learning_rate,
    )
    every = pocus.images(
        pocus.Params(root=given.root),
        classes=("pneumonia",),
        image_size=given.size,
        reserve_per_class=0,
        seed=0,
    )
    assert every.clip is not None
    stills = every.select(np.flatnonzero(every.clip == "")[: given.stills])
    results, lines = list[dict[str, float]](), list[np.ndarray]()
    for k in range(len(stills)):
        began = time.process_time()
        gan = fitted(stills.select(np.array([k])), params, given.precision)
        request = SampleRequest(np.zeros(SAMPLES, np.int64), ("pneumonia",), given.size)
        drawn = gan.sample(request, SampleContext(precision=given.precision, seed=k)).image
        source = np.asarray(stills.image[k])
        results.append(figures(source, drawn, extractor))
        lines.append(np.stack([source, *drawn[:SHOWN]]))
        write_grid(lines, given.out)
        shown = ", ".join(f"{name} {value:.2f}" for name, value in results[-1].items())
        print(f"{stills.image_id[k]}: {shown}, {time.process_time() - began:.0f} s", flush=True)
    for name, published in PUBLISHED.items():
        values = np.array([result[name] for result in results])
        spread = f", deviation between stills {values.std(ddof=1):.2f}" if len(values) > 1 else ""
        about = f" ({extractor} features)" if name == "SIFID" else ""
        print(f"{name}{about}: mean {values.mean():.2f}{spread}, n {len(values)}; Table 2: {published}")


if __name__ == "__main__":
    main()
