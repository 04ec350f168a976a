"""FID and MS-SSIM of each class along the training of the generators."""

from __future__ import annotations

import io

import numpy as np

from benchmark.reporting.figures.draw import COLORS, MARKS, MUTED, RULE, Drawn, canvas
from benchmark.reporting.tables.curves import first_curves, points
from benchmark.reporting.tables.record import LeftOut
from benchmark.reporting.tables.run import Run
from benchmark.stages.records import FID_OF, MS_SSIM_OF

FID, MS_SSIM, COLUMNS = "training_fid", "training_ms_ssim", 3
SAMPLES, DOTS = "training_samples", 100  # pixels of a picture to the inch


def training(run: Run) -> list[Drawn | LeftOut]:
    """Draw both figures."""
    return [
        _curves(run, FID, FID_OF, "FID", "Figure 2", "lower is nearer to the real images"),
        _curves(run, MS_SSIM, MS_SSIM_OF, "MS-SSIM", "Figure 4", "lower is more diverse"),
    ]


def samples(run: Run) -> list[Drawn | LeftOut]:
    """Draw the same few images of each row at every preview of its training."""
    rows = [row for row in run.rows() if row in run.training]
    if not rows:
        return [LeftOut(SAMPLES, "no bundle shows the previews of a fit")]
    return [_samples(run, row) for row in rows]


def _samples(run: Run, row: str) -> Drawn:
    from PIL import Image

    with Image.open(io.BytesIO(run.training[row])) as picture:
        pixels = np.asarray(picture.convert("L"))
    height, width = pixels.shape
    drawn, axes = canvas(size=(width / DOTS, height / DOTS))
    axes[0][0].imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="none")
    axes[0][0].set_axis_off()
    caption = (
        f"{row}: the same samples of each class along the training of the first fit, a line per preview. "
        f"After Schaudt et al. 2023, Figure 3. {run.sentence()}"
    )
    return Drawn(f"{SAMPLES}_{row}", drawn, caption)


def _curves(run: Run, name: str, prefix: str, title: str, after: str, reading: str) -> Drawn | LeftOut:
    from matplotlib.ticker import MaxNLocator

    by_row = {row: own for row in run.rows() if (own := points(run, row, prefix))}
    by_row = {row: own for row, own in by_row.items() if max(map(len, own.values())) > 1}
    if not by_row:
        return LeftOut(name, "no fit has two previews with enough images of a class")
    columns = min(COLUMNS, len(by_row))
    lines = -(-len(by_row) // columns)
    drawn, axes = canvas(columns, lines, size=(4.2, 3.0), sharey=True)
    for ax in axes.flat[len(by_row) :]:
        ax.set_visible(False)
    for ax, (row, own) in zip(axes.flat, by_row.items(), strict=False):
        ax.grid(color=RULE, linewidth=0.6)
        for label, line in own.items():
            k = run.classes.index(label)
            ax.plot(
                *zip(*line, strict=True), color=COLORS[k % len(COLORS)], marker=MARKS[k // len(COLORS) % 7],
                markersize=3, linewidth=1.2, label=label.replace("_", " "),
            )  # fmt: skip
        ax.set_title(row)
        ax.tick_params(colors=MUTED, labelsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        ax.set_xlabel("Step", fontsize=8)
    for ax in axes[:, 0]:
        ax.set_ylabel(title)
    handles, labels = axes.flat[0].get_legend_handles_labels()
    drawn.legend(
        handles, labels, loc="outside lower center", ncols=min(5, 3 * columns), frameon=False, fontsize=8
    )
    row = next(iter(by_row))
    extractor = next(f for f in first_curves(run, row)[0].figures if f.startswith("val_fid_"))
    features = f" of the features of {extractor.removeprefix('val_fid_')}" if prefix == FID_OF else ""
    caption = (
        f"{title}{features} of each class over the previews of the first fit; {reading}. A class without "
        f"enough images in the previews has no line. After Schaudt et al. 2023, {after}. {run.sentence()}"
    )
    return Drawn(name, drawn, caption)
