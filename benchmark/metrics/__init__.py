"""Metrics of synthetic images, one plug-in per file; folders hold what is no metric.

``extractor`` has the networks whose features metrics read, ``memorization`` the memorization gate. Heavy
libraries are imported when used.
"""
