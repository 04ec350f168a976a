"""Tests, intervals and power, each a pure function of arrays that gives plain values."""

VERSION = "1"  # raise it when a figure of merit, an interval or a test gives other results
