"""SynthThorax: does adding synthetic thoracic images help a classifier on real patients?"""

__version__ = "0.1.0"
