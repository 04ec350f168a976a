"""Verify a bundle: recompute what can be recomputed, and name the rest."""
