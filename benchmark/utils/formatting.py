"""Words and numbers in messages."""

from typing import Any, Protocol


class Ends(Protocol):
    """The two ends of an interval."""

    @property
    def low(self) -> Any: ...
    @property
    def high(self) -> Any: ...


class Interval(Ends, Protocol):
    """An estimate with its interval."""

    @property
    def estimate(self) -> Any: ...


def plural(count: int, noun: str) -> str:
    """Return ``1 image`` or ``2 images``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def listed(names: list[str]) -> str:
    """Return ``a, b and c``."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}" if names else ""


def points(difference: float, digits: int = 1) -> str:
    """Format a difference in points (hundredths), with its sign: ``+3.2``."""
    text = f"{100 * difference:+.{digits}f}"
    return f"{0:.{digits}f}" if not float(text) else text.replace("-", "−")


NO_INTERVAL = "(no interval)"


def points_range(interval: Ends) -> str:
    """Format the interval of a difference in points: ``[+1.0, +5.4]``."""
    if interval.low is None:
        return NO_INTERVAL
    return f"[{points(interval.low)}, {points(interval.high)}]"


def points_with_range(difference: Interval, noun: str = "") -> str:
    """Format a difference with its interval: ``+3.2 points [+1.0, +5.4]``, or ``points of F1``."""
    unit = f"points of {noun}" if noun else "points"
    return f"{points(difference.estimate)} {unit} {points_range(difference)}"
