"""Counter-based random numbers (Philox): row 200,000 is drawn without the earlier rows."""

import numpy as np
from scipy.special import ndtri

# Streams of random numbers. A new stream gets a new number, so that no existing cohort changes.
PATIENT, STUDY, PERSON, SHOT, VISITS, REPORT, CHOICE, GRADE = range(8)
BLOCK = 1_000_000  # most rows drawn together


def uniforms(seed: int, stream: int, first: int, count: int, width: int) -> np.ndarray:
    """Random numbers of the rows ``first`` to ``first + count``, independent of all other rows.

    Returns:
        (count, width) float64 in [0, 1).
    """
    per_row = -(-width // 4)  # Philox gives four numbers per step of its counter
    bits = np.random.Philox(key=np.array([stream, seed], np.uint64))
    bits.advance(first * per_row)
    return np.random.Generator(bits).random((count, 4 * per_row))[:, :width]


def uniforms_at(seed: int, stream: int, rows: np.ndarray, width: int) -> np.ndarray:
    """(N, width) random numbers of these rows; each block of ``BLOCK`` row numbers is drawn once."""
    drawn = np.empty((len(rows), width))
    blocks = rows // BLOCK
    for block in np.unique(blocks).tolist():
        inside = blocks == block
        low, high = int(rows[inside].min()), int(rows[inside].max())
        drawn[inside] = uniforms(seed, stream, low, high - low + 1, width)[rows[inside] - low]
    return drawn


def normals(seed: int, stream: int, first: int, count: int, width: int) -> np.ndarray:
    """Standard normal counterparts of :func:`uniforms`."""
    return np.asarray(ndtri(uniforms(seed, stream, first, count, width) + 2.0**-54))
