"""The square around an ultrasound sector."""

import numpy as np

SQUARE = 0.05  # relative difference of the sides up to which an image was cropped before
MOVES = 12  # gray values; compression noise of a static overlay stays below
SHOWS = 10  # gray values above the background


def sector_box(frames: np.ndarray) -> tuple[int, int, int, int] | None:
    """Return the square around an ultrasound sector, without the scales, letters and logos beside it.

    The sector is the largest connected area that is brighter than the background and, in a video, changes
    with time; lines thinner than about a hundredth of the image do not count. The square has the longer
    side of its bounding box and the same center, so it may extend beyond the image.

    Args:
        frames: (T, H, W) uint8, one for a still image.
    Returns:
        left, top, right, bottom in pixels; None to crop nothing: the image is a square already, up to
        ``SQUARE``, as those of Born et al. are, or nothing stands out.
    """
    from scipy import ndimage

    height, width = frames.shape[1:]
    if abs(height - width) <= SQUARE * max(height, width):
        return None
    peak, low = frames.max(0).astype(int), frames.min(0).astype(int)
    content = peak > np.percentile(peak, 5) + SHOWS
    moves = content & (peak - low > MOVES)
    thin = max(3, max(height, width) // 100)
    if len(frames) > 2 and ndimage.binary_opening(moves, iterations=1).mean() > 0.05:
        content = moves
    content = ndimage.binary_closing(np.pad(content, thin), np.ones((thin, thin)))[thin:-thin, thin:-thin]
    content = ndimage.binary_opening(content, np.ones((thin, thin)))
    areas, count = ndimage.label(content)
    if not count:
        return None
    largest = 1 + int(np.argmax(ndimage.sum_labels(content, areas, np.arange(1, count + 1))))
    rows, columns = ndimage.find_objects(areas)[largest - 1]
    side = max(rows.stop - rows.start, columns.stop - columns.start)
    left = (columns.start + columns.stop - side) // 2
    top = (rows.start + rows.stop - side) // 2
    return left, top, left + side, top + side


def crop(frame: np.ndarray, box: tuple[int, int, int, int] | None) -> np.ndarray:
    """Crop (H, W) uint8 to a box; black where the box extends beyond the image."""
    if box is None:
        return frame
    left, top, right, bottom = box
    height, width = frame.shape
    cut = np.zeros((bottom - top, right - left), np.uint8)
    rows = slice(max(top, 0), min(bottom, height))
    columns = slice(max(left, 0), min(right, width))
    cut[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = frame[rows, columns]
    return cut
