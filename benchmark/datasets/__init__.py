"""Data sources: one file per source, each with Params, fingerprint and load."""
