"""Figures beside the tables."""
