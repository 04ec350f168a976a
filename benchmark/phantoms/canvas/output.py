"""Image sizes that can be drawn."""

from benchmark.errors import DataError


def check_size(size: int, source: str) -> None:
    """Raise a DataError unless ``size`` is from 16 to 1024 pixels."""
    if not 16 <= size <= 1024:
        raise DataError(source, f"cannot draw {size} pixels", "Choose an image size from 16 to 1024.")
