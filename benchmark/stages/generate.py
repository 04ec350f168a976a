"""Fit a generator, and draw from it."""

from __future__ import annotations

import math
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.errors import BenchmarkError, GeneratorError, MetricError
from benchmark.images import arrow
from benchmark.images import plots as pictures
from benchmark.images.image_set import ImageSet, Learning
from benchmark.images.lazy import blocks
from benchmark.plugins.generator import SampleRequest, synthetic_set
from benchmark.plugins.registry import Plugin
from benchmark.protocol.mixing import added_counts, receiving_classes
from benchmark.stages.fit_context import Fit
from benchmark.stages.job import CHOSEN, Job, first_line
from benchmark.tasks.rules import Mix


@contextmanager
def _blamed(name: str, act: str) -> Iterator[None]:
    """Whatever a generator raises becomes one line that names it."""
    try:
        yield
    except BenchmarkError:
        raise
    except Exception as error:  # a third party's code may raise anything
        raise GeneratorError(
            f"generator '{name}'",
            f"{act} raised {type(error).__name__}: {first_line(error)}",
            "Mend the generator; the whole traceback is in the logs folder of the store.",
        ) from error


def fit(job: Job, asks_to_stop: Callable[[int, float], bool] = lambda step, fid: False) -> dict[str, Any]:
    """Fit a generator on ``train``, once or once per class, and keep its best state by FID on ``val``."""
    seen = arrow.read_learning(job.data, reserve=job.config["reserve"])
    asked = receiving_classes(seen.train, Mix(**job.config["mix"]), tuple(job.config["classes"]))
    seen = seen_by_generators(seen, job.input("select"), job.config["classes"])
    if not job.config["per_class"]:
        return {"joint": _fit_one(job, seen, "joint", 0, 1, asks_to_stop)}
    wanted = [c for c in seen.train.classes if c in asked]
    return {
        name: _fit_one(job, seen.of_class(seen.train.classes.index(name)), name, k, len(wanted), asks_to_stop)
        for k, name in enumerate(wanted)
    }


def seen_by_generators(seen: Learning, select: Path | None, classes: Sequence[str]) -> Learning:
    """What generators learn from: what was selected of ``train``, where something was; one label each.

    Args:
        select: folder of the stage ``select``, or None.
        classes: of the task.
    """
    return _selected(seen, select).only(classes).to_single_label()


def _selected(seen: Learning, source: Path | None) -> Learning:
    """What was selected of the training images, where something was; ``val`` of the same classes."""
    if source is None:
        return seen
    train = seen.train.select(np.load(source / CHOSEN))
    present = [name for name, n in train.counts().items() if n]
    return Learning(train, seen.val, seen.reserve).only(present)


def _fit_one(
    job: Job, seen: Learning, part: str, index: int, parts: int, asks_to_stop: Callable[[int, float], bool]
) -> dict[str, Any]:
    from benchmark.metrics.features import features
    from benchmark.metrics.fid import fid

    config, name = job.config, job.node.row
    module = _plugin(job).load()
    scratch = job.work / part
    scratch.mkdir(parents=True, exist_ok=True)
    real: dict[str, np.ndarray] = {}

    def preview_fid(preview: ImageSet) -> float:
        try:
            if not real:
                real["val"] = features(seen.val.image, config["extractor"], config["device"])
            return fid(real["val"], features(preview.image, config["extractor"], config["device"]))
        except BenchmarkError:
            raise
        except Exception as error:  # the suite's own fault, not to be blamed on the generator
            raise MetricError("preview FID", f"{type(error).__name__}: {first_line(error)}") from error

    with _blamed(name, "fit()"):
        generator = module.Generator(module.Params(**config["params"]))
        context = Fit(
            generator=generator,
            name=name,
            val=seen.val,
            preview=config["preview"],
            preview_fid=preview_fid,
            metric=f"val_fid_{config['extractor']}",
            device=config["device"],
            precision=config["precision"],
            seed=job.node.seed,
            scratch=scratch,
            kept=scratch / "kept",
            reserve=seen.reserve,
            fold=job.node.fold,
            progress=lambda share: job.progress((index + share) / parts),
            asks_to_stop=asks_to_stop,
        )
        generator.fit(seen.train, context)
        folder, entry = context.best()
    refuse_pickles(folder, name)
    shutil.copytree(folder, job.out / part, dirs_exist_ok=True)
    return {"chosen": entry, "history": context.history}


def refuse_pickles(folder: Path, name: str) -> None:
    """A saved generator is safetensors and JSON; anything that could run code on loading is refused."""
    for path in folder.rglob("*"):
        if path.is_file() and path.suffix not in {".safetensors", ".json", ".txt", ".yaml"}:
            raise GeneratorError(
                f"generator '{name}'", f"save() wrote '{path.name}'", "Save as safetensors and JSON only."
            )


def _plugin(job: Job) -> Plugin:
    about = job.config["plugin"]
    return Plugin("generators", about["name"], about["origin"], job.node.local["target"])


def drawn_counts(train: ImageSet, mix: Mix, bracket: int, classes: tuple[str, ...]) -> dict[str, int]:
    """Images of each class that are drawn for a bracket: what it adds, or more where a filter drops some."""
    wanted = added_counts(train, mix, bracket, classes)
    if mix.filter == "none":
        return wanted
    return {name: math.ceil(mix.surplus * n) for name, n in wanted.items()}


def generate(job: Job) -> dict[str, Any]:
    """Sample the largest bracket from a fitted generator; more of it where a filter will drop some."""
    config, name = job.config, job.node.row
    train = arrow.read_learning(job.data, reserve=False).train.only(config["classes"])
    wanted = drawn_counts(train, Mix(**config["mix"]), config["bracket"], tuple(config["classes"]))
    request = SampleRequest.of_counts(wanted, train.classes, config["image_size"])
    module = _plugin(job).load()
    source = job.input(f"fit/{name}")
    assert source is not None
    with _blamed(name, "sample()"):
        if config["per_class"]:
            drawn = _sample_per_class(module, source, request, job)
        else:
            drawn = _loaded(module, source / "joint", config["device"]).sample(request, seed=job.node.seed)
    check_samples(drawn, request, name)
    arrow.write_images(job.out / "synthetic.arrow", drawn)
    pictures.sample_grid(drawn, job.out / "grid.png")
    return {"images": len(drawn), "hash": drawn.content_hash(), "card": dict(drawn.card)}


def _loaded(module: Any, folder: Path, device: str) -> Any:
    """A fitted generator, on the run's device if it can move there."""
    generator = module.Generator.load(folder)
    if hasattr(generator, "to"):
        generator.to(device)
    return generator


def _sample_per_class(module: Any, source: Path, request: SampleRequest, job: Job) -> ImageSet:
    image = np.zeros((len(request.label), request.image_size, request.image_size), np.uint8)
    cards: dict[str, Any] = {}
    for k, part in enumerate(request.classes):
        rows = np.flatnonzero(request.label == k)
        if not len(rows):
            continue
        own = SampleRequest(np.full(len(rows), k), request.classes, request.image_size)
        drawn = _loaded(module, source / part, job.config["device"]).sample(
            own, seed=job.node.seed * 1009 + k
        )
        check_samples(drawn, own, job.node.row)
        image[rows], cards[part] = drawn.image, dict(drawn.card)
    return replace(synthetic_set(image, request, generator=job.node.row), card=cards)


def check_samples(drawn: Any, request: SampleRequest, name: str) -> None:
    """Hold what ``sample`` gave against what was asked for.

    Raises:
        GeneratorError: not an ImageSet, or another count, size, order of labels, or set of classes; or flat.
    """
    where = f"generator '{name}'"
    if not isinstance(drawn, ImageSet):
        raise GeneratorError(
            where,
            f"sample() gave {type(drawn).__name__}, expected an ImageSet",
            "Use records.synthetic_set().",
        )
    expected = (len(request.label), request.image_size, request.image_size)
    if drawn.image.shape != expected:
        raise GeneratorError(where, f"sample() gave shape {drawn.image.shape}, expected {expected}")
    if drawn.classes != request.classes or not np.array_equal(drawn.label, request.label):
        raise GeneratorError(
            where, "sample() changed the labels or classes of the request", "Keep their order."
        )
    if len(drawn) > 1 and all((part == drawn.image[0]).all() for part in blocks(drawn.image)):
        raise GeneratorError(
            where, "sample() gave the same picture for every request", "Train longer, or mend it."
        )
