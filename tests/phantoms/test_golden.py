"""The first chest phantom draws the same bytes as when it was calibrated."""

from __future__ import annotations

import hashlib

import pytest

from benchmark.datasets.phantom import chest

# of the pictures and masks of version 1, before the second phantom shared its helpers
GOLDEN = {
    16: "548b00ab0f87b2600de219b1a0855c116236d2ed83aae2534317e3aacd373e33",
    64: "5f9d8302e7ad63b37740ebfc8dd9d09dec047c36f65033c492f3c5d7d4a92b19",
    256: "4d059f9e2ca4c4c06a0ed8fc519f519e4a48c504db80a1639ff29f988e5665f3",
}


@pytest.mark.parametrize("size", GOLDEN)
def test_version_1_is_bit_identical(size: int):
    """Images and masks have the bytes on which the task was calibrated and the extractor was trained."""
    digest = hashlib.sha256()
    for index in range(20 if size < 256 else 5):
        view = "AP" if index % 3 == 0 else None
        drawn = chest.draw(chest.CLASSES[index % 5], seed=3, index=index, size=size, view=view)
        digest.update(drawn.image.tobytes())
        digest.update(drawn.mask.tobytes())
    assert chest.version == "1"
    assert digest.hexdigest() == GOLDEN[size]
