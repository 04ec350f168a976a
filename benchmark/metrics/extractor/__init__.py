"""The embedded extractor: its network, its weights with their card, its training."""
