"""Train the embedded feature extractor again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

EXTRACTOR_SEED = 987_654_321  # far from the seeds of any task, so that no test patient was seen


def train_extractor(out: Path, steps: int | None) -> dict[str, Any]:
    """Train the embedded extractor on phantom chests drawn at the demo's size and at its own."""
    from dataclasses import replace

    from benchmark.datasets.phantom import chest
    from benchmark.metrics.extractor.train import Example, ExtractorConfig, train

    def draw(index: int) -> Example:
        finding = index % len(chest.CLASSES)
        phantom = chest.draw(
            chest.CLASSES[finding], seed=EXTRACTOR_SEED, index=index, size=(32, 64)[index // 5 % 2]
        )
        return Example(
            phantom.image, finding, int(phantom.view == "AP"), int(phantom.sex == "male"), phantom.mask
        )

    config = (
        ExtractorConfig()
        if steps is None
        else replace(ExtractorConfig(), steps=steps, pool=max(200, steps), held_out=100)
    )

    def progress(step: int, total: int) -> None:
        if step % 50 == 0:
            print(f"step {step} of {total}", flush=True)

    return train(draw, out, config=config, source=f"phantom.chest version {chest.version}", progress=progress)
