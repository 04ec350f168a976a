"""Draw the tables of this folder: invented numbers that show the format and serve to try the commands.

    python examples/comparing/make_examples.py [FOLDER]

The same seed gives the same bytes. The numbers are no measurements.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

SEED = 2026
GAIN = {"real_only": 0.0, "traditional": 0.02, "ddpm": 0.05, "noise": -0.06}  # in balanced accuracy
PULL = {"real_only": 1.0, "ddpm": 1.6}  # of the score towards the label
FID = {"ddpm": 62.0, "stylegan": 55.0, "lora": 96.0, "dreambooth": 118.0, "sinddm": 75.0}
LOOK = {"real": 4.3, "stylegan": 3.6, "ddpm": 2.8}  # mean quality


def runs(rng: np.random.Generator) -> list[str]:
    """One value per generator, classifier and seed."""
    lines = ["row,value,classifier,seed"]
    for classifier, level in (("resnet18", 0.62), ("densenet121", 0.66), ("vit_tiny", 0.57)):
        for seed in range(3):
            shared = rng.normal(0, 0.01)
            for row, gain in GAIN.items():
                value = level + gain + shared + rng.normal(0, 0.015)
                lines.append(f"{row},{value:.4f},{classifier},{seed}")
    return lines


def predictions(rng: np.random.Generator) -> list[str]:
    """Scores of the class pneumonia by two models for 240 images of 160 patients."""
    lines = ["image_id,patient_id,label," + ",".join(f"{model}:pneumonia" for model in PULL)]
    for k in range(240):
        patient = k if k < 160 else k - 160
        sick = patient % 3 == 0
        hard = rng.normal(0, 1)
        scores = [pull * (0.6 if sick else -0.6) + hard + rng.normal(0, 0.7) for pull in PULL.values()]
        texts = ",".join(f"{1 / (1 + np.exp(-s)):.4f}" for s in scores)
        lines.append(f"i{k:03d},p{patient:03d},{'pneumonia' if sick else 'healthy'},{texts}")
    return lines


def fidelity(rng: np.random.Generator) -> list[str]:
    """FID and the gain of utility of five generators."""
    lines = ["model,fid,utility"]
    return lines + [f"{m},{fid:.1f},{0.6 + fid / 4000 + rng.normal(0, 0.01):.4f}" for m, fid in FID.items()]


def readers(rng: np.random.Generator) -> list[str]:
    """Answers of three readers about 16 images of each of two generators and 16 real ones."""
    images = [
        (f"{model}-{label}-{k}", model, label, rng.normal(look, 0.5))
        for model, look in LOOK.items()
        for label in ("healthy", "pneumonia")
        for k in range(8)
    ]
    lines = ["reader,image,model,class,quality,plausibility,real_or_fake"]
    for reader, mild in (("r1", 0.2), ("r2", -0.2), ("r3", 0.0)):
        for image, model, label, look in images:
            seen = look + mild + rng.normal(0, 0.4)
            quality = int(np.clip(round(seen), 1, 5))
            plausible = int(np.clip(round(1 + (seen - 1) / 2), 1, 3))
            answer = "fake" if rng.random() < 1 / (1 + np.exp(2 * (seen - 3.8))) else "real"
            shown = plausible if label == "pneumonia" else ""
            lines.append(f"{reader},{image},{model},{label},{quality},{shown},{answer}")
    return lines


def main(folder: Path) -> None:
    """Write all four tables."""
    for k, table in enumerate((runs, predictions, fidelity, readers)):
        text = "\n".join(table(np.random.default_rng([SEED, k]))) + "\n"
        (folder / f"{table.__name__}.csv").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
