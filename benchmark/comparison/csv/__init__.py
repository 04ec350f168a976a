"""The statistics on a plain CSV: what the verb ``stats`` computes."""
