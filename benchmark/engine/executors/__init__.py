"""Executors: where the nodes of a graph are computed, one file each."""
