"""Frames of a video at a given rate, as gray pictures, and the square around an ultrasound sector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.errors import DataError

SUFFIXES = (".mp4", ".avi", ".mov", ".gif", ".mpeg", ".mpg", ".m4v")
FORMATS = "mov,avi,gif,mpeg,mpegvideo,mpegts"  # FFmpeg's demuxers for these; mov is MP4's too
MAX_FRAME_PIXELS = 10_000_000  # above 4K; thirty such frames fit into 300 MB
SQUARE = 0.05  # sides that differ by less are those of a picture that was cropped before
MOVES = 12  # gray values; compression noise of a standing overlay stays below
SHOWS = 10  # gray values above the background

_REPLACE = "Replace the file by the original, or remove its row."
Broken = Literal["error", "keep_decoded"]


@dataclass(frozen=True)
class Clip:
    """Frames taken from one video.

    Attributes:
        frames: (T, H, W) uint8 gray.
        number: (T,) int64, place of each in the video, from 0.
        rate: frames per second of the video.
        decoded: frames that were decoded to get them.
        fault: why decoding stopped before the last frame that was wanted, else empty.
    """

    frames: np.ndarray
    number: np.ndarray
    rate: float
    decoded: int
    fault: str = ""


def read_clip(path: Path, *, hertz: float = 3.0, most: int = 30, broken: Broken = "error") -> Clip:
    """Every int(rate / hertz)-th decoded frame, at most ``most``; as Born et al. 2021 sampled their videos.

    Decoding ends with the last frame that is kept; what lies behind it is not looked at.

    Args:
        hertz: frames wanted per second; a slower video gives all of its frames.
        most: frames kept per video.
        broken: what becomes of a video that stops midway: an error, or the frames before the fault.
    Raises:
        DataError: missing, no video, too large, or broken; names the file and the frame.
    """
    if not path.is_file():
        raise DataError(str(path), "no such file, expected a video", _REPLACE)
    kept: list[np.ndarray] = []
    number: list[int] = []
    decoded, rate, fault = 0, 0.0, ""
    try:
        for frame, rate in _decode(path):
            if decoded % max(1, int(rate / hertz)) == 0:
                kept.append(frame.to_ndarray(format="gray"))
                number.append(decoded)
            decoded += 1
            if len(kept) == most:
                break
    except _Fault as error:
        fault = str(error)
    if fault and (broken == "error" or not kept):
        raise DataError(
            str(path),
            f"stops decoding after {decoded} frames: {fault}",
            _REPLACE if not kept else f"{_REPLACE} Or keep what comes before, with broken: keep_decoded.",
        )
    if not kept:
        raise DataError(str(path), "has no video frame", _REPLACE)
    return Clip(np.stack(kept), np.array(number), rate, decoded, fault)


class _Fault(Exception):
    """The decoder met something that it cannot read."""


def _decode(path: Path) -> Iterator[tuple[Any, float]]:
    """Frames of the first video stream, strictly, with its frames per second.

    Raises:
        _Fault: at the first fault that the decoder notices, and where the file ends too early.
    """
    import av

    av.logging.set_level(av.logging.PANIC)  # faults come as exceptions; the library's own lines say no more
    decoded = 0
    try:
        with av.open(str(path), options=_local_file()) as container:
            if not container.streams.video:
                raise _Fault("it holds no video")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # one core per worker; and a frame's bytes must not depend on threads
            stream.codec_context.options = {"err_detect": "explode"}
            _check_size(path, stream.width, stream.height)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            if rate <= 0:
                raise _Fault("its frame rate is not known")
            for frame in container.decode(stream):
                if (frame.height, frame.width) != (stream.height, stream.width):
                    raise _Fault(f"its frames change size, from {stream.width} x {stream.height}")
                decoded += 1
                yield frame, rate
            promised = stream.frames
    except av.error.FFmpegError as error:
        raise _Fault(error.strerror or type(error).__name__) from None
    if decoded < promised:
        raise _Fault(f"the file promises {promised}")
    if path.suffix.lower() == ".gif" and not _gif_ends(path):
        raise _Fault("the GIF ends before its last block")


def _local_file() -> dict[str, str]:
    """Only containers that hold their video: a playlist, whatever its ending, would name other files."""
    return {"protocol_whitelist": "file", "format_whitelist": FORMATS}


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise DataError(
            str(path),
            f"has frames of {width} x {height} pixels, expected at most {MAX_FRAME_PIXELS // 10**6} million",
            "Reduce the video before use.",
        )


def _gif_ends(path: Path) -> bool:
    """Whether a GIF's blocks lead to its end mark; the decoder takes a cut file for a shorter one."""
    data = path.read_bytes()

    def table(flags: int) -> int:
        return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0

    def after_blocks(at: int) -> int:
        while data[at]:
            at += data[at] + 1
        return at + 1

    try:
        at = 13 + table(data[10])
        while data[at] != 0x3B:
            if data[at] == 0x21:
                at = after_blocks(at + 2)
            elif data[at] == 0x2C:
                at = after_blocks(at + 11 + table(data[at + 9]))
            else:
                return False
    except IndexError:
        return False
    return True


def sector_box(frames: np.ndarray) -> tuple[int, int, int, int] | None:
    """The square around an ultrasound sector, without the scales, letters and logos beside it.

    The sector is the largest connected area that is brighter than the background and, in a video, changes
    with time; lines thinner than about a hundredth of the picture do not count. The square has the longer
    side of its bounding box and the same center, so it may reach beyond the picture.

    Args:
        frames: (T, H, W) uint8, one for a still image.
    Returns:
        left, top, right, bottom in pixels; None where nothing is to be cropped: the picture is a square
        already, up to ``SQUARE``, as those of Born et al. are, or nothing stands out.
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
    """(H, W) uint8 cut to a box; black where the box reaches beyond the picture."""
    if box is None:
        return frame
    left, top, right, bottom = box
    height, width = frame.shape
    cut = np.zeros((bottom - top, right - left), np.uint8)
    rows = slice(max(top, 0), min(bottom, height))
    columns = slice(max(left, 0), min(right, width))
    cut[rows.start - top : rows.stop - top, columns.start - left : columns.stop - left] = frame[rows, columns]
    return cut
