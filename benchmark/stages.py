"""What each stage does with its inputs: the one place where the stage folders meet."""

from __future__ import annotations

import importlib
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import arrow, pictures
from benchmark.data import loading, scenario
from benchmark.errors import BenchmarkError, DataError, GeneratorError, MetricError
from benchmark.fitting import Fit
from benchmark.pipeline import Node
from benchmark.records import ImageSet, Learning, SampleRequest, Splits, prove_disjoint, synthetic_set
from benchmark.registry import Plugin
from benchmark.store import write_json
from benchmark.task import Budget, Recipe, SplitRule, parse_rules
from benchmark.torchkit import one_thread


@dataclass(frozen=True)
class Job:
    """One node, with the folders to read from and to write to."""

    node: Node
    inputs: Mapping[str, Path]
    out: Path
    work: Path
    progress: Callable[[float], None] = lambda share: None

    @property
    def config(self) -> Mapping[str, Any]:
        """The node's configuration."""
        return self.node.config

    def splits(self) -> Splits:
        """The data of the run."""
        return arrow.read_splits(self.inputs["data"])

    def added(self) -> ImageSet | None:
        """The synthetic images of the row, or None."""
        folder = self.inputs.get(f"generate/{self.node.row}")
        return arrow.read_images(folder / "synthetic.arrow") if folder else None


def data(job: Job) -> dict[str, Any]:
    """Load the source, prove that the splits are disjoint, write them."""
    config, local = job.config, job.node.local
    module = importlib.import_module(local["target"])
    params = module.Params(**{**config["params"], **local["paths"]})
    rules = parse_rules(config["scenario"])
    splits = loading.load(
        module,
        params,
        classes=tuple(config["classes"]),
        image_size=config["image_size"],
        split=SplitRule(**config["split"]),
        reserve_per_class=config["reserve_per_class"],
        seed=job.node.seed,
        before=scenario.before_split(rules),
        on_train=scenario.on_train(rules, seed=job.node.seed),
    )
    arrow.write_splits(job.out, splits)  # pixels are drawn and decoded here, once
    splits = arrow.read_splits(job.out)
    _check_classes(splits, config)
    proof = prove_disjoint(splits)
    pictures.sample_grid(splits.train, job.out / "grid.png")
    return {
        "proof": proof,
        "notes": list(splits.notes),
        "classes": list(splits.train.classes),
        "splits": {
            name: {
                "images": len(images),
                "patients": len(images.patients()),
                "counts": images.counts(),
                "hash": images.content_hash(),
            }
            for name, images in splits.named().items()
        },
    }


def _check_classes(splits: Splits, config: Mapping[str, Any]) -> None:
    """Every class of the task has an image in every split that is trained or tested on."""
    for name, images in splits.named().items():
        for label, count in images.counts().items():
            rare = images.several and name == "val"
            if count == 0 and name != "reserve" and not rare and label in config["classes"]:
                raise DataError(
                    f"source {config['source']}: split {name}", f"class '{label}' has no image", "Exclude it."
                )


def reference(job: Job) -> dict[str, Any]:
    """A half of the real test images, the yardstick of synthetic ones, and the real-against-real floor."""
    from benchmark.metrics.features import features
    from benchmark.metrics.floor import largest_half, patient_halves, real_floor

    test, extractor, seed = job.splits().test, job.config["extractor"], job.node.seed
    # No class may ask for more synthetic images than the bracket has.
    most = int(job.config["per_class"] * len(test) / np.bincount(test.label).max())
    n = min(most, largest_half(test.patient_id, test.label, seed))
    half, _ = patient_halves(test.patient_id, test.label, n, np.random.default_rng([seed, 0]))
    found = features(test.image, extractor, job.config["device"])
    floor = real_floor(found, test.patient_id, n, seed, labels=test.label)
    np.savez(job.out / "reference.npz", features=found[half])
    return {
        "n": n,
        "counts": test.select(half).counts(),
        f"fid_{extractor}": {"floor": floor["fid"], "floor_sd": floor["fid_sd"]},
        f"kid_{extractor}": {"floor": floor["kid"], "floor_sd": floor["kid_sd"]},
        **_ms_ssim(test, job.config["ms_ssim_images"], job.config["device"]),
    }


def _ms_ssim(images: ImageSet, per_class: int, device: str) -> dict[str, Any]:
    from benchmark.metrics.ms_ssim import ms_ssim_within_classes

    return {"ms_ssim": ms_ssim_within_classes(images.image, images.label, images.classes, per_class, device)}


def first_line(error: BaseException) -> str:
    """The first line of an error's message, cut to what a table can hold."""
    return (str(error).strip().splitlines() or ["no message"])[0][:200]


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
    seen = arrow.read_learning(job.inputs["data"], reserve=job.config["reserve"])
    if not job.config["per_class"]:
        return {"joint": _fit_one(job, seen, "joint", 0, 1, asks_to_stop)}
    classes = seen.train.classes
    return {
        name: _fit_one(job, seen.of_class(k), name, k, len(classes), asks_to_stop)
        for k, name in enumerate(classes)
    }


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

    def judge(preview: ImageSet) -> float:
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
            judge=judge,
            metric=f"val_fid_{config['extractor']}",
            device=config["device"],
            precision=config["precision"],
            seed=job.node.seed,
            scratch=scratch,
            kept=scratch / "kept",
            reserve=seen.reserve,
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


def generate(job: Job) -> dict[str, Any]:
    """Sample the largest bracket from a fitted generator."""
    config, name = job.config, job.node.row
    classes = arrow.read_learning(job.inputs["data"], reserve=False).train.classes
    request = SampleRequest.balanced(config["count_per_class"], classes, config["image_size"])
    module = _plugin(job).load()
    source = job.inputs[f"fit/{name}"]
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
    if len(drawn) > 1 and drawn.image.std(0).max() == 0:
        raise GeneratorError(
            where, "sample() gave the same picture for every request", "Train longer, or mend it."
        )


def measure(job: Job) -> dict[str, Any]:
    """Fidelity, diversity and memorization of a row's images."""
    from benchmark.metrics.features import features
    from benchmark.metrics.fid import fid
    from benchmark.metrics.kid import kid
    from benchmark.metrics.memorization import memorization

    splits, extractor, device = job.splits(), job.config["extractor"], job.config["device"]
    drawn = job.added()
    assert drawn is not None
    floor = json.loads((job.inputs["reference"] / "result.json").read_text())
    with np.load(job.inputs["reference"] / "reference.npz") as stored:
        real = stored["features"]
    fake = features(in_proportion(drawn, floor["counts"]).image, extractor, device)
    n = len(fake)
    diversity = _ms_ssim(drawn, job.config["ms_ssim_images"], device)["ms_ssim"]
    metrics = {f"fid_{extractor}": fid(real, fake), f"kid_{extractor}": kid(real, fake)}
    return {
        "measures": {
            **{k: {"value": v, "n": n, "direction": "minimize", **floor[k]} for k, v in metrics.items()},
            "ms_ssim": {
                "value": diversity["mean"],
                "floor": floor["ms_ssim"]["mean"],
                "n": diversity["n"],
                "scales": diversity["scales"],
                "direction": "minimize",
            },
        },
        "ms_ssim_per_class": diversity,
        "memorization": memorization(drawn, splits.train, splits.test, extractor, device, job.node.seed),
    }


def in_proportion(images: ImageSet, counts: Mapping[str, int]) -> ImageSet:
    """The first images of each class, so many as the counts by name say."""
    rows = [np.flatnonzero(images.label == k)[: counts[name]] for k, name in enumerate(images.classes)]
    return images.select(np.concatenate(rows))


def classify(job: Job) -> dict[str, Any]:
    """Train one classifier with one bracket and one seed, choose its epoch on ``val``, read ``test`` once."""
    from sklearn.metrics import balanced_accuracy_score, confusion_matrix

    from benchmark.classify import sampling
    from benchmark.classify import train as training

    config, splits = job.config, job.splits()
    setting = training.Setting(
        recipe=Recipe(**config["recipe"]),
        budget=Budget(**config["budget"]),
        oversample=config["oversample"],
        seed=job.node.seed,
        device=config["device"],
        precision=config["precision"],
        scratch=job.work,
        progress=job.progress,
    )
    extra = sampling.with_bracket(splits.train, job.added(), config["bracket"])
    trained = training.train(splits.train, extra, splits.val, setting)
    normal = training.normalization(splits.train.image)
    tests = splits.tests
    scores = {n: training.predict(trained.network, s, setting, normal) for n, s in tests.items()}
    write_predictions(job, tests, scores)
    labels = splits.test.label
    counts = confusion_matrix(labels, scores["test"].argmax(1), labels=range(len(splits.test.classes)))
    pictures.confusion_picture(counts, splits.test.classes, job.out / "confusion.png")
    return {
        "history": trained.history,
        "chosen": trained.best,
        "steps": trained.steps,
        "training_images": len(extra),
        "confusion": counts.tolist(),
        "metrics": {
            "val_balanced_accuracy": trained.best["val_balanced_accuracy"],
            **{f"{n}_accuracy": float((scores[n].argmax(1) == s.label).mean()) for n, s in tests.items()},
            **{
                f"{n}_balanced_accuracy": float(balanced_accuracy_score(s.label, scores[n].argmax(1)))
                for n, s in tests.items()
            },
        },
    }


def write_predictions(job: Job, tests: Mapping[str, ImageSet], scores: Mapping[str, np.ndarray]) -> None:
    """Per-image predictions of one run, as Parquet."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    config, node = job.config, job.node
    run = f"{node.row}/{config['bracket']}/{config['recipe']['name']}/{node.seed}"
    tables = []
    for name, images in tests.items():
        n = len(images)
        columns = {
            "image_id": pa.array(images.image_id.tolist()),
            "patient_id": pa.array(images.patient_id.tolist()),
            "label": pa.array(images.label, pa.int64()),
            "split": pa.array([name] * n),
            "bracket": pa.array([config["bracket"]] * n, pa.int64()),
            "classifier": pa.array([config["recipe"]["name"]] * n),
            "seed": pa.array([node.seed] * n, pa.int64()),
            "fold": pa.array([0] * n, pa.int64()),
            "run": pa.array([run] * n),
        }
        columns |= {f"score_{k}": pa.array(scores[name][:, k]) for k in range(scores[name].shape[1])}
        tables.append(pa.table(columns))
    pq.write_table(pa.concat_tables(tables), job.out / "predictions.parquet")


STAGES: dict[str, Callable[[Job], dict[str, Any]]] = {
    "data": data,
    "reference": reference,
    "fit": fit,
    "generate": generate,
    "measure": measure,
    "classify": classify,
}


def run(job: Job) -> dict[str, Any]:
    """Run a node's stage and write its ``result.json``."""
    if job.node.stage != "data":  # data are drawn and read without torch
        one_thread()
    result = STAGES[job.node.stage](job)
    write_json(job.out / "result.json", result)
    return result
