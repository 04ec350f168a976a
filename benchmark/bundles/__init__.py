"""Bundles: the results of one row, written, read and validated."""
