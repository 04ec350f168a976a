"""Compare the speed of a grid of trainings with a plain loop like those of published scripts.

    python perf/downstream.py --size 64 --updates 400 --rounds 5
    python perf/downstream.py --size 224 --updates 40 --rounds 3

Both sides train the same network (ResNet-50, one channel) from the same weights on the same phantoms, with
the same batch size, number of updates, augmentation (Schaudt et al. 2023, Table 4), learning rate and
schedule. Both score ``val`` after every epoch and are tested on the same held-out images. The weights replace
ImageNet's: ``--pretraining`` updates learn them from phantoms of other patients.

The plain loop runs one training at a time on all cores: for every image it decodes a file (PNG of 1024
pixels, the size of ChestX-ray14's), resizes it, and augments it with Albumentations; the network computes in
float32, and scores ``val`` image by image. The suite runs one training per core at once, through
``benchmark.classifiers.train``, on images that were decoded once; the time for that is printed.

The sides alternate, so that other load disturbs both. A round is one training of the loop, then one
training per core of the suite. Only imports are not timed. Prints training images per
second of wall time, the share of each part, balanced accuracies, and ``ratio: N``, the median of the rounds.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import wraps
from pathlib import Path
from typing import Any

import numpy as np

BATCH, RATE, DROPOUT = 8, 1e-4, 0.5  # Schaudt et al. 2023, section 3.3.2
WEIGHTS = "weights.safetensors"
FILE_SIDE = 1024  # pixels
PARTS = ("load", "augmented", "forward", "step", "evaluate")


def draw(size: int, folder: Path) -> None:
    """Draw phantoms in the paper's numbers, as Arrow files for the suite and as PNG files for the loop."""
    from PIL import Image

    from benchmark.datasets.phantom import chest
    from benchmark.images import arrow
    from benchmark.protocol import load as loading
    from benchmark.tasks.schema import SplitRule

    for seed, place in enumerate((folder, folder / "others")):
        place.mkdir(exist_ok=True)
        splits = loading.load(
            chest, chest.Params(test_per_class=100), classes=chest.CLASSES, image_size=size,
            split=SplitRule(val=0.2), reserve_per_class=1, seed=seed,
        )  # fmt: skip
        arrow.write_splits(place, splits)
    for name in ("train", "val"):
        images = getattr(arrow.read_splits(folder), name)
        (folder / name).mkdir()
        for i, (image, label) in enumerate(zip(images.image, images.label, strict=True)):
            large = Image.fromarray(image).resize((FILE_SIDE, FILE_SIDE), Image.Resampling.BICUBIC)
            large.save(folder / name / f"{i:05d}_{label}.png")


def timed(method: Callable[..., Any], name: str, spent: dict[str, float]) -> Callable[..., Any]:
    """Return the method with its seconds added up under a name."""

    @wraps(method)
    def call(*args: Any, **kwargs: Any) -> Any:
        began = time.perf_counter()
        try:
            return method(*args, **kwargs)
        finally:
            spent[name] = spent.get(name, 0.0) + time.perf_counter() - began

    return call


def ready(threads: int) -> None:
    """Import the libraries of a training before the clock starts."""
    import torch

    torch.set_num_threads(threads)
    import albumentations  # noqa: F401
    import timm  # noqa: F401


def epochs_of(updates: int, images: int) -> int:
    """Return the number of evaluations: one per pass over the training images, at least one."""
    return max(1, round(updates * BATCH / images))


def balanced_accuracy(label: np.ndarray, predicted: np.ndarray) -> float:
    """Return the mean recall of the classes."""
    return float(np.mean([(predicted[label == k] == k).mean() for k in np.unique(label)]))


def pretrain(folder: str, updates: int) -> None:
    """Learn the weights of all but the last layer from other patients; do nothing for 0 updates."""
    from safetensors.torch import save_file

    from benchmark.classifiers import train as training
    from benchmark.classifiers.config import TrainingConfig
    from benchmark.images import arrow
    from benchmark.tasks.classifier import Budget, ClassifierConfig

    if not updates:
        return
    splits = arrow.read_splits(Path(folder) / "others")
    classifier = ClassifierConfig(
        name="resnet50", timm="resnet50", learning_rate=1e-3, augmentation="mild_affine"
    )
    budget = Budget(unit="steps", length=updates, batch_size=32, evaluations=4)
    with tempfile.TemporaryDirectory() as scratch:
        setting = TrainingConfig(classifier, budget, "none", 99, "cpu", "bfloat16", Path(scratch))
        network = training.train(splits.train, splits.train, splits.val, setting).network
    state = {k: v.contiguous() for k, v in network.pretrained.state_dict().items()}
    save_file(state, Path(folder) / WEIGHTS)


def suite(folder: str, updates: int, seed: int) -> dict[str, Any]:
    """Run one training by the suite, on one thread."""
    from benchmark.classifiers import train as training
    from benchmark.classifiers.config import TrainingConfig
    from benchmark.images import arrow
    from benchmark.tasks.classifier import Budget, ClassifierConfig, Weights
    from benchmark.utils.training_state import one_thread

    one_thread()
    began = time.perf_counter()
    splits = arrow.read_splits(Path(folder))
    file = Path(folder) / WEIGHTS
    classifier = ClassifierConfig(
        name="resnet50", timm="resnet50", learning_rate=RATE, dropout=DROPOUT, augmentation="schaudt",
        weights=Weights(kind="file", path=file) if file.exists() else Weights(),
    )  # fmt: skip
    budget = Budget(
        unit="steps", length=updates, batch_size=BATCH, evaluations=epochs_of(updates, len(splits.train))
    )
    spent: dict[str, float] = {}
    original = {name: getattr(training.Training, name) for name in (*PARTS, "update")}
    for name, method in original.items():
        setattr(training.Training, name, timed(method, name, spent))
    try:
        with tempfile.TemporaryDirectory() as scratch:
            setting = TrainingConfig(
                classifier, budget, "none", seed, "cpu", "bfloat16", Path(scratch), metric="balanced_accuracy"
            )
            trained = training.train(splits.train, splits.train, splits.val, setting)
        seconds = time.perf_counter() - began
        scores = training.predict(
            trained.network, splits.test, setting, training.normalization(splits.train.image)
        )
    finally:
        for name, method in original.items():
            setattr(training.Training, name, method)
    inside = sum(spent[name] for name in ("load", "augmented", "forward", "step"))
    shares = {name: spent[name] / seconds for name in PARTS}
    shares["backward"] = (spent["update"] - inside) / seconds
    return {
        "seconds": seconds,
        "images": updates * BATCH,
        "quality": balanced_accuracy(splits.test.label, scores.argmax(1)),
        "shares": shares,
    }


def pipeline(size: int) -> tuple[Any, Any]:
    """Return Table 4 in the paper's library, for training, and its normalization for ``val``."""
    import albumentations as A
    from cv2 import BORDER_REFLECT_101 as REFLECT_101  # the default of the release of the paper's time

    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

    def tone() -> Any:
        return A.RandomBrightnessContrast(0.2, 0.2, brightness_by_max=True, p=1.0)

    train = A.Compose(
        [
            A.Resize(size, size),
            A.ShiftScaleRotate(0.1, 0.5, 10, border_mode=REFLECT_101, p=1.0),
            A.OneOf([A.CLAHE(4.0, (8, 8), p=1.0), tone(), A.RandomGamma((80, 120), p=1.0)], p=0.9),
            A.OneOf(
                [A.Sharpen((0.2, 0.5), (0.5, 1.0), p=1.0), A.Blur(7, p=1.0), A.MotionBlur(7, p=1.0)], p=0.9
            ),
            A.OneOf([tone(), A.HueSaturationValue(20, 30, 20, p=1.0)], p=0.9),
            A.Normalize(mean, std),
        ]
    )
    return train, A.Compose([A.Resize(size, size), A.Normalize(mean, std)])


def changed(image: np.ndarray, change: Any) -> Any:
    """Augment an (S, S) or (S, S, 3) image as three channels, and return the first: (1, S, S)."""
    import torch

    colors = image if image.ndim == 3 else np.repeat(image[:, :, None], 3, 2)
    return torch.from_numpy(np.ascontiguousarray(change(image=colors)["image"][:, :, 0])[None])


def decode(folder: str, size: int) -> float:
    """Return the seconds that one core needs to read every file as the suite does, once for all trainings."""
    from benchmark.images.decoding import read_gray

    began = time.perf_counter()
    for path in sorted(Path(folder).glob("*/*.png")):
        read_gray(path, size)
    return time.perf_counter() - began


def loop(folder: str, size: int, updates: int, seed: int) -> dict[str, Any]:
    """Run one training by a plain loop, on all cores."""
    import timm
    import torch
    from PIL import Image
    from safetensors.torch import load_file
    from torch.utils.data import DataLoader, Dataset

    class Files(Dataset):  # type: ignore[type-arg]
        def __init__(self, name: str, change: Any) -> None:
            self.paths, self.change = sorted((Path(folder) / name).glob("*.png")), change

        def __len__(self) -> int:
            return len(self.paths)

        def __getitem__(self, index: int) -> tuple[Any, int]:
            path = self.paths[index]
            return changed(np.asarray(Image.open(path)), self.change), int(path.stem.split("_")[1])

    torch.manual_seed(seed)
    change, plain = pipeline(size)
    began = time.perf_counter()
    network = timm.create_model("resnet50", num_classes=5, in_chans=1, drop_rate=DROPOUT)
    if (Path(folder) / WEIGHTS).exists():
        network.load_state_dict(load_file(Path(folder) / WEIGHTS), strict=False)
    optimizer = torch.optim.Adam(network.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=updates)
    train, val = Files("train", change), Files("val", plain)
    epochs = epochs_of(updates, len(train))
    marks = {round(updates * (i + 1) / epochs) for i in range(epochs)}
    best, best_state, done = -1.0, {}, 0
    while done < updates:
        for images, labels in DataLoader(train, batch_size=BATCH, shuffle=True, drop_last=True):
            network.train()
            loss = torch.nn.functional.cross_entropy(network(images), labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            done += 1
            if done in marks:
                accuracy = _read_all(network, DataLoader(val, batch_size=1))
                if accuracy > best:
                    best, best_state = accuracy, {k: v.clone() for k, v in network.state_dict().items()}
            if done == updates:
                break
    seconds = time.perf_counter() - began
    network.load_state_dict(best_state)
    return {"seconds": seconds, "images": updates * BATCH, "quality": _judge(network, folder, plain)}


def _read_all(network: Any, loader: Any) -> float:
    """Return the balanced accuracy on ``val``, image by image."""
    import torch

    network.eval()
    labels, predicted = [], []
    with torch.no_grad():
        for image, label in loader:
            predicted.append(int(network(image).argmax()))
            labels.append(int(label))
    return balanced_accuracy(np.array(labels), np.array(predicted))


def _judge(network: Any, folder: str, plain: Any) -> float:
    """Return the balanced accuracy on the test images; not timed."""
    import torch

    from benchmark.images import arrow
    from benchmark.images.lazy import blocks

    test = arrow.read_splits(Path(folder)).test
    network.eval()
    with torch.no_grad():
        outputs = [
            network(torch.stack([changed(image, plain) for image in block])).argmax(1)
            for block in blocks(test.image, 50)
        ]
    return balanced_accuracy(test.label, torch.cat(outputs).numpy())


def main() -> None:
    """Run the rounds and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--updates", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--pretraining", type=int, default=400, help="updates; 0 starts from random weights")
    options = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    context = multiprocessing.get_context("spawn")
    with tempfile.TemporaryDirectory() as name:
        draw(options.size, Path(name))
        with (
            ProcessPoolExecutor(1, context, ready, (cores,)) as plain,
            ProcessPoolExecutor(cores, context, ready, (1,)) as workers,
        ):
            list(workers.map(math.sqrt, range(4 * cores)))
            plain.submit(math.sqrt, 1).result()
            workers.submit(pretrain, name, options.pretraining).result()
            print(
                f"decoding every file once: {plain.submit(decode, name, options.size).result():.1f} s",
                flush=True,
            )
            rounds = [_round(plain, workers, cores, name, options, k) for k in range(options.rounds)]
    _print(rounds, cores)


def _round(
    plain: ProcessPoolExecutor,
    workers: ProcessPoolExecutor,
    cores: int,
    folder: str,
    options: argparse.Namespace,
    k: int,
) -> dict[str, Any]:
    given = (folder, options.updates)
    reference = plain.submit(loop, folder, options.size, options.updates, k).result()
    ours = [f.result() for f in [workers.submit(suite, *given, k * cores + i) for i in range(cores)]]
    wall = max(o["seconds"] for o in ours)
    speed = sum(o["images"] for o in ours) / wall
    plain_speed = reference["images"] / reference["seconds"]
    qualities = ", ".join(f"{o['quality']:.3f}" for o in ours)
    print(
        f"round {k}: loop {plain_speed:.1f} images/s, suite {speed:.1f}: {speed / plain_speed:.2f} times; "
        f"balanced accuracy {reference['quality']:.3f}; {qualities}",
        flush=True,
    )
    return {"ratio": speed / plain_speed, "loop": reference, "suite": ours, "speeds": (plain_speed, speed)}


def _print(rounds: list[dict[str, Any]], cores: int) -> None:
    ours = [o for r in rounds for o in r["suite"]]
    sides = {
        f"loop, one training on {cores} cores": [r["loop"] for r in rounds],
        f"suite, {cores} trainings at once": ours,
    }
    for k, (side, trainings) in enumerate(sides.items()):
        quality = [t["quality"] for t in trainings]
        speed = statistics.median(r["speeds"][k] for r in rounds)
        print(
            f"{side}: {speed:.1f} images/s; balanced accuracy {np.mean(quality):.3f} "
            f"(deviation {np.std(quality, ddof=min(1, len(quality) - 1)):.3f} of {len(quality)})"
        )
    for part in (*PARTS, "backward"):
        print(f"  {part:<10} {100 * statistics.mean(o['shares'][part] for o in ours):5.1f} % of a training")
    print(f"ratio: {statistics.median(r['ratio'] for r in rounds):.2f}")


if __name__ == "__main__":
    main()
