"""Figures over stored predictions: scores, intervals, tests, ranks and the verdict on the controls.

Pure functions of arrays and data frames; no torch, no files. ``study.compare`` composes them.
"""
