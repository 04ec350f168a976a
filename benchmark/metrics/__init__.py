"""Measures of synthetic images: pure functions of arrays, one file per measure.

``features`` turns pictures into the features of a named extractor; ``fid``, ``kid`` and
``memorization`` compare features, ``ms_ssim`` compares pictures, ``floor`` says what two sets of
real images score against each other. Nothing heavy is imported before it is used.
"""
