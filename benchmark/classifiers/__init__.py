"""Downstream classifiers: networks, training, augmentation, sampling, evaluators."""
