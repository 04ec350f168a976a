"""Reference pages of the documentation: ``python -m benchmark.api.reference`` writes them."""
