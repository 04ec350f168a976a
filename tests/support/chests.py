"""Drawn chests with lesions of a known side, zone and area: quick, and with the layout of a radiograph."""

from __future__ import annotations

import numpy as np

from benchmark.images.image_set import ImageSet

CLASSES = ("normal", "spot", "crescent", "heart")
SIZE = 32


def disc(across: float, down: float, wide: float, high: float, size: int = SIZE) -> np.ndarray:
    """Return (S, S) bool, true inside an ellipse."""
    rows, columns = np.indices((size, size))
    return ((columns - across) / wide) ** 2 + ((rows - down) / high) ** 2 <= 1


def chests(per_class: int = 30, seed: int = 0) -> ImageSet:
    """Return chests with dark lungs; spots lie in a lung, crescents at the base of one, hearts in the middle.

    The lungs are ellipses around columns 9 and 22, rows 5 to 25. Every finding has a sentence as a report's.
    """
    rng = np.random.default_rng(seed)
    label = np.repeat(np.arange(len(CLASSES)), per_class)
    images, masks, texts = [], [], []
    for k in label.tolist():
        right = bool(rng.random() < 0.5)  # the patient's right, on the left of the image
        center, side = (9.0, "right") if right else (22.0, "left")
        mask, text = np.zeros((SIZE, SIZE), bool), "No acute finding."
        if CLASSES[k] == "spot":
            radius, down = rng.uniform(1.0, 2.6), rng.uniform(8, 22)
            mask = disc(center + rng.uniform(-2, 2), down, radius, radius)
            zone = ("upper", "middle", "lower")[min(2, int((down - 5) // 6.8))]
            text = f"{5 * radius:.0f} mm spot in the {side} {zone} zone."
        elif CLASSES[k] == "crescent":
            height = rng.uniform(1.5, 5)
            mask = disc(center, 27 - height / 2, 4.5, height)
            grade = ("Small", "Moderate", "Large")[int((height - 1.5) / 1.17)]
            text = f"{grade} {side} crescent."
        elif CLASSES[k] == "heart":
            wide = rng.uniform(3, 6)
            mask = disc(16.5, 20, wide, 5)
            text = f"{('Mild', 'Moderate', 'Severe')[int(wide - 3)]} heart."
        lungs = disc(9, 15, 5, 10) | disc(22, 15, 5, 10)
        image = np.full((SIZE, SIZE), 150.0) + rng.normal(0, 4, (SIZE, SIZE))
        image[:, [0, 1, -2, -1]] = 10
        images.append(np.where(lungs, image - 80, image) + 60 * mask)
        masks.append(mask)
        texts.append(text)
    ids = np.array([f"chest-{seed}-{i:04d}" for i in range(len(label))])
    return ImageSet(
        image=np.stack(images).clip(0, 255).astype(np.uint8),
        label=label.astype(np.int64),
        classes=CLASSES,
        image_id=ids,
        patient_id=ids,
        origin=np.full(len(label), "real:chests"),
        mask=np.stack(masks) * np.uint8(255),
        prompt=np.array(texts, dtype=object),
    )
