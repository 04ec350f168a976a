"""Metrics of synthetic images: pure functions of arrays, one file per metric.

``features`` computes the features of a named extractor; ``fid``, ``kid`` and ``memorization`` compare
features, ``ms_ssim`` compares images, ``floor`` compares real images with each other. Heavy libraries are
imported when used.
"""
