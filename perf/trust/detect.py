"""The copy detector: recall of altered copies on phantoms and real images, and copies handed in as samples.

    python -m perf.trust.detect [--packs FOLDER] [--boards FOLDER] [--only SUBJECT]

Prints one line per attack, and the recall of every kind. ``--packs`` is the folder of the real data sets.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from perf.trust.alterations import ALTERATIONS
from perf.trust.rows import Row

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))

from benchmark.bundles.io import read_bundles
from benchmark.errors import SubmissionError
from benchmark.images.copies.alterations import KINDS, altered
from benchmark.images.copies.bank import Bank
from benchmark.images.copies.model import CopyModel
from benchmark.images.copies.rates import threshold
from benchmark.images.image_set import ImageSet
from benchmark.intake.copies import Hidden, hidden_images, validate_no_copies
from benchmark.verification.sample_images import read_sample_images
from support.samples import blobs

REFERENCES, FRESH, COPIES = 1000, 1000, 500
TESTS, SAMPLES = 300, 300
PARTS = ("blend", "half", "patch")
PARTITIONS = 10  # of the patients of a real pack
Draw = Callable[[int, int], np.ndarray]


def chest(size: int) -> Draw:
    """Return a function that draws phantom radiographs of patients ``first`` and on."""
    from benchmark.datasets.phantom import chest

    names = chest.CLASSES
    return lambda count, first: np.stack(
        [chest.draw(names[k % len(names)], seed=77, index=first + k, size=size).image for k in range(count)]
    )


def ultrasound(size: int) -> Draw:
    """Return a function that draws phantom ultrasound frames of patients ``first`` and on."""
    from benchmark.datasets.phantom import ultrasound

    names = ultrasound.CLASSES

    def one(k: int) -> np.ndarray:
        return ultrasound.draw(names[k % len(names)], seed=77, patient=k, clip=0, frame=0, size=size).image

    return lambda count, first: np.stack([one(first + k) for k in range(count)])


SUBJECTS: dict[str, Draw] = {
    "chest phantoms, 32 px": chest(32),
    "chest phantoms, 64 px": chest(64),
    "ultrasound phantoms, 32 px": ultrasound(32),
}


def of_phantoms(subject: str, draw: Draw) -> Iterator[Row]:
    """Plant copies of 500 of 1,000 training images; 1,000 new patients calibrate, 1,000 others test."""
    known, fresh, other = draw(REFERENCES, 0), draw(FRESH, 10**5), draw(FRESH, 2 * 10**5)
    bank = Bank.of(known, fresh, CopyModel.learned(known))
    limit, _ = threshold(bank.calibration.scores, np.full(FRESH, 1 / FRESH))
    over, most = int((bank.calibration.scores > 1.5).sum()), bank.calibration.scores.max()
    print(f"  {subject}: {over} of {FRESH} new patients score over 1.5, at most {most:.2f}", file=sys.stderr)
    rates: dict[str, float] = {}
    rng = np.random.default_rng(0)
    chosen = known[rng.permutation(REFERENCES)[:COPIES]]
    for kind in KINDS:
        bases = {kind: np.roll(chosen, 1, 0)} | (
            {f"{kind}, on a new patient": fresh[:COPIES]} if kind in PARTS else {}
        )
        for name, base in bases.items():
            score = bank.calibration.score(bank.detector.match(altered(kind, chosen, base, rng)))
            rates[name] = float((score > limit).mean())
            print(f"  {subject}: {name} {rates[name]:.3f}", file=sys.stderr, flush=True)
    alarms = float((bank.calibration.score(bank.detector.match(other)) > limit).mean())
    low = min((rates[k], k) for k in KINDS if k not in PARTS)
    parts = ", ".join(f"{name} {rates[name]:.2f}" for name in rates if name.split(",")[0] in PARTS)
    held = low[0] >= 0.95 and all(rates[k] >= 0.8 for k in PARTS) and alarms <= 0.02
    yield Row(
        f"{subject}: {len(KINDS)} kinds of copies of {COPIES} training images",
        "recall 0.95 each, 0.8 of parts, at 1 % false alarms",
        f"lowest {low[0]:.3f} ({low[1]}); {parts}; {100 * alarms:.1f} % of new patients",
        held,
    )


def of_pack(name: str, images: ImageSet) -> Iterator[Row]:
    """Plant copies among real images: half of the patients are known, a quarter calibrates, a quarter tests.

    Repeated for 10 divisions of the patients; intervals resample patients (percentile bootstrap, 95 %).
    """
    patients = np.unique(images.patient_id)
    hits: dict[str, list[tuple[str, bool]]] = {kind: [] for kind in ("false alarms", *KINDS)}
    rng, stated = np.random.default_rng(0), []
    for _ in range(PARTITIONS):
        order = rng.permutation(patients)
        half, quarter = len(order) // 2, 3 * len(order) // 4
        known, calibrating, fresh = (
            images.select(np.isin(images.patient_id, part))
            for part in (order[:half], order[half:quarter], order[quarter:])
        )
        bank = Bank.of(known.image, calibrating.image, CopyModel.learned(known.image))
        scores = bank.calibration.scores
        limit, expected = threshold(scores, np.full(len(scores), 1 / len(scores)))
        stated.append(expected)
        for kind in hits:
            base, own = (
                (known, altered(kind, known.image, np.roll(known.image, 1, 0), rng))
                if kind in KINDS
                else (fresh, fresh.image)
            )
            over = bank.calibration.score(bank.detector.match(own)) > limit
            hits[kind] += zip(base.patient_id.tolist(), over.tolist(), strict=True)
    parts = []
    for kind, pairs in hits.items():
        low, high = _interval(pairs, rng)
        rate = np.mean([over for _, over in pairs])
        parts.append((rate, f"{kind} {rate:.2f} ({low:.2f} to {high:.2f})"))
        print(f"  {name}: {parts[-1][1]}", file=sys.stderr, flush=True)
    measured = (
        f"{parts[0][1]}; recall {', '.join(text for _, text in sorted(parts[1:])[:3])}; the others more"
    )
    attack = f"{name}: the same on {len(images)} real images of {len(patients)} patients"
    held = _interval(hits["false alarms"], rng)[0] <= np.mean(stated)
    must = f"stated, with intervals; false alarms agree with the expected {np.mean(stated):.2f}"
    yield Row(attack, must, measured, bool(held))


def _interval(pairs: list[tuple[str, bool]], rng: np.random.Generator) -> tuple[float, float]:
    """Return the percentile interval of a share under resampling of patients."""
    by: dict[str, list[bool]] = {}
    for patient, over in pairs:
        by.setdefault(patient, []).append(over)
    sums, counts = (np.array([f(v) for v in by.values()], float) for f in (sum, len))
    draws = rng.integers(0, len(by), (2000, len(by)))
    low, high = np.quantile(sums[draws].sum(1) / counts[draws].sum(1), [0.025, 0.975])
    return float(low), float(high)


def as_samples(subject: str, draw: Draw, boards: Path) -> Iterator[Row]:
    """Hand in 30 alterations of 300 test images, and honest samples."""
    train, test, new = draw(REFERENCES, 0), draw(TESTS, 3 * 10**5), draw(SAMPLES, 4 * 10**5)
    hidden = hidden_images({"test": image_set(test)}, image_set(train))
    accepted = [name for name, alter in ALTERATIONS.items() if not refused(alter(test), hidden)]
    few = [name for name, alter in ALTERATIONS.items() if not refused(_mixed(alter(test), new), hidden)]
    honest = {"new patients (oracle)": new, "PCA": principal(train)}
    for bundle in read_bundles(boards / "cxr_pneumonia-demo") if "chest phantoms, 32" in subject else []:
        if bundle.previews is not None and bundle.manifest.row.name in ("ddpm", "stylegan", "pca_gaussian"):
            honest[f"{bundle.manifest.row.name} of the board"] = read_sample_images(bundle, boards).image
    wrong = [name for name, images in honest.items() if refused(images, hidden)]
    yield Row(
        f"{subject}: {len(ALTERATIONS)} alterations of {TESTS} test images, as samples",
        "refused; honest samples accepted",
        f"{len(ALTERATIONS) - len(accepted)} refused{_but(accepted)}; honest: {', '.join(honest)}, "
        f"{len(wrong)} of {len(honest)} refused{_but(wrong)}",
        not accepted and not wrong,
    )
    yield Row(
        f"{subject}: the same, every tenth sample such a copy",
        "refused",
        f"{len(ALTERATIONS) - len(few)} of {len(ALTERATIONS)} refused{_but(few)}",
        not few,
    )


def _mixed(copies: np.ndarray, honest: np.ndarray) -> np.ndarray:
    return np.where(np.arange(len(honest))[:, None, None] % 10 == 0, copies, honest)


def _but(names: list[str]) -> str:
    return f" (not: {', '.join(names)})" if names else ""


def principal(images: np.ndarray) -> np.ndarray:
    """Draw from a Gaussian on the first 60 principal components."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    _, scale, axes = np.linalg.svd(flat - flat.mean(0), full_matrices=False)
    codes = np.random.default_rng(0).normal(size=(SAMPLES, 60)) * scale[:60] / np.sqrt(len(flat))
    return np.clip(flat.mean(0) + codes @ axes[:60], 0, 255).astype(np.uint8).reshape(-1, *images.shape[1:])


def image_set(pixels: np.ndarray) -> ImageSet:
    """Return a set with these images."""
    return replace(blobs({"a": len(pixels)}, size=8), image=pixels, classes=("a",))


def refused(samples: np.ndarray, hidden: dict[str, Hidden]) -> bool:
    """Return whether the intake refuses samples."""
    try:
        validate_no_copies(image_set(samples), [str(k) for k in range(len(samples))], hidden)
    except SubmissionError:
        return True
    return False


def packs(folder: Path) -> Iterator[tuple[str, ImageSet]]:
    """Yield the real data sets below a folder, at 32 and 224 pixels."""
    from benchmark.datasets import covid_chestxray, pocus

    for size in (32, 224):
        if (folder / "covid-chestxray").is_dir():
            params = covid_chestxray.Params(root=folder / "covid-chestxray")
            classes = ("healthy", "fungal", "covid19", "bacterial")
            yield (
                f"covid-chestxray, {size} px",
                covid_chestxray.images(params, classes=classes, image_size=size, reserve_per_class=0, seed=0),
            )
        if (folder / "pocus").is_dir():
            params = pocus.Params(root=folder / "pocus", most=4)
            classes = ("covid19", "pneumonia", "healthy")
            yield (
                f"POCUS, {size} px",
                pocus.images(params, classes=classes, image_size=size, reserve_per_class=0, seed=0),
            )


def measure(boards: Path, folder: Path | None, only: str = "") -> Iterator[Row]:
    """Measure everything; ``only`` subjects whose name has this text."""
    for subject, draw in SUBJECTS.items():
        if only in subject:
            yield from of_phantoms(subject, draw)
            yield from as_samples(subject, draw, boards)
    for name, images in packs(folder) if folder else ():
        if only in name:
            yield from of_pack(name, images)


def main() -> None:
    """Print what was measured."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--packs", type=Path, default=os.environ.get("SYNTHTHORAX_PACKS"))
    parser.add_argument("--boards", type=Path, default=Path("leaderboards/results"))
    parser.add_argument("--only", default="")
    args = parser.parse_args()
    for row in measure(args.boards, args.packs, args.only):
        print(row, flush=True)


if __name__ == "__main__":
    main()
