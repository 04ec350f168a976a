"""The rules of scenarios, one file per kind, each a pure function of an ImageSet."""
