"""The verb that trains the embedded feature extractor again."""

from dataclasses import replace

from benchmark.cli.requests import ExtractorRequest
from benchmark.datasets.phantom import chest
from benchmark.experiments.run import make_folder
from benchmark.metrics.extractor.features import PHANTOM
from benchmark.metrics.extractor.train import Example, ExtractorConfig, train
from benchmark.utils.outputs import refuse_foreign_files

EXTRACTOR_SEED = 987_654_321  # far from the seeds of every task, so that no test patient is seen


def train_extractor(request: ExtractorRequest) -> int:
    """Train the extractor on phantom chests at two sizes, and write its weights and model card."""
    make_folder(request.out)
    card = request.out / f"{PHANTOM}.json"
    refuse_foreign_files([card, card.with_suffix(".safetensors")], card, '"copy_top1":')
    config = ExtractorConfig()
    if steps := request.steps:
        config = replace(config, steps=steps, pool=max(200, steps), held_out=100)
    source = f"phantom.chest version {chest.version}"
    train(_example, request.out, config=config, source=source, progress=_progress)
    print(request.out)
    return 0


def _example(index: int) -> Example:
    finding = index % len(chest.CLASSES)
    size = (32, 64)[index // 5 % 2]  # the demo's size, and the extractor's
    phantom = chest.draw(chest.CLASSES[finding], seed=EXTRACTOR_SEED, index=index, size=size)
    return Example(
        phantom.image, finding, int(phantom.view == "AP"), int(phantom.sex == "male"), phantom.mask
    )


def _progress(step: int, total: int) -> None:
    if step % 50 == 0:
        print(f"step {step} of {total}", flush=True)
