"""Downstream classifiers: recipes, training loop, augmentation, sampling."""
