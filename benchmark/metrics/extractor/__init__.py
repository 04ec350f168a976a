"""The extractor that ships with the package: its network, its weights with their card, its training."""
