"""Versions of the classifiers' code. Raise one when it would give other results."""

TRAINING = "1"  # network, loss, optimizer, schedule and training loop
AUGMENTATIONS = {"none": "1", "mild_affine": "1", "schaudt": "1", "zhang": "1", "segal": "1", "lan": "1"}


def augmentation_version(name: str) -> str:
    """Return the version of an augmentation pipeline; those of Lan's operations share one."""
    return AUGMENTATIONS["lan" if name.startswith("lan_") else name]
