"""Tests, intervals and power, each a pure function of arrays that gives plain values."""
