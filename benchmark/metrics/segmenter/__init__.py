"""A segmenter of findings for metrics of lesions."""

version = "2"
