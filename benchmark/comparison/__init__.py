"""Compare rows from their stored predictions: metrics, intervals, tests, ranks and the controls.

Pure functions of arrays and data frames, without torch and files. ``compare.compare`` composes them.
"""
