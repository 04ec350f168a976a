"""Canonical numbers: the same bytes on every processor."""

from collections.abc import Mapping
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Any

DIGITS = 7  # significant
QUANTUM = 8  # decimals: no number is finer than 1e-8
NOISE = 12  # significant digits; smaller digits are arithmetic noise
NOISE_QUANTUM = 13  # decimals


def canonical(value: Any) -> Any:
    """Return the same JSON values with every float rounded to a canonical one.

    Processors order sums in their own way, so the last bits of a result differ between them. Significant
    digits alone are no canonical form: a sum that should be zero is 4e-18 on one processor and 0 on another.
    Hence an absolute quantum too. A first, finer rounding restores values such as 257/512 exactly; otherwise
    noise would decide the direction in which the second one rounds a tie.
    """
    if isinstance(value, float):
        return canonical_float(value)
    if isinstance(value, Mapping):
        return {str(k): canonical(v) for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(v) for v in value]
    return value


def canonical_float(value: float) -> float:
    """Round to ``DIGITS`` significant digits and at most ``QUANTUM`` decimals; zero has no sign."""
    exact = _rounded(Decimal(value), NOISE, NOISE_QUANTUM)
    return float(_rounded(exact, DIGITS, QUANTUM)) + 0.0


def _rounded(value: Decimal, digits: int, decimals: int) -> Decimal:
    if not value.is_finite() or not value:
        return value
    exponent = max(value.adjusted() - digits + 1, -decimals)
    return value.quantize(Decimal(1).scaleb(exponent), rounding=ROUND_HALF_EVEN)
