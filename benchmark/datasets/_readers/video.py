"""Frames of a video at a given rate, as gray images."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.errors import DataError

SUFFIXES = (".mp4", ".avi", ".mov", ".gif", ".mpeg", ".mpg", ".m4v")
# FFmpeg's demuxers for these; mov is MP4's too. A playlist, whatever its suffix, would name other files.
FORMATS = "mov,avi,gif,mpeg,mpegvideo,mpegts"
LOCAL_VIDEO = {"protocol_whitelist": "file", "format_whitelist": FORMATS}
MAX_FRAME_PIXELS = 10_000_000  # above 4K; thirty such frames fit into 300 MB

_REPLACE = "Replace the file by the original, or remove its record."
Broken = Literal["error", "keep_decoded"]


@dataclass(frozen=True)
class Clip:
    """Frames taken from one video.

    Attributes:
        frames: (T, H, W) uint8 gray.
        number: (T,) int64, index of each in the video, from 0.
        rate: frames per second of the video.
        decoded: number of frames decoded to get them.
        fault: reason why decoding stopped before the last requested frame, else empty.
    """

    frames: np.ndarray
    number: np.ndarray
    rate: float
    decoded: int
    fault: str = ""


def read_clip(path: Path, *, hertz: float = 3.0, most: int = 30, broken: Broken = "error") -> Clip:
    """Read every int(rate / hertz)-th frame, at most ``most``; as Born et al. 2021 sampled their videos.

    Decoding ends with the last frame that is returned; the rest of the file is not checked.

    Args:
        hertz: requested frames per second; a slower video gives all of its frames.
        most: frames per video at most.
        broken: treatment of a video that stops midway: an error, or the frames before the fault.
    Raises:
        DataError: missing, no video, too large, or broken; names the file and the frame.
    """
    if not path.is_file():
        raise DataError(str(path), "no such file, expected a video", _REPLACE)
    frames: list[np.ndarray] = []
    number: list[int] = []
    decoded, rate, fault = 0, 0.0, ""
    try:
        for frame, rate in _decode(path):
            if decoded % max(1, int(rate / hertz)) == 0:
                frames.append(_upright(frame))
                number.append(decoded)
            decoded += 1
            if len(frames) == most:
                break
    except _Fault as error:
        fault = str(error)
    if fault and (broken == "error" or not frames):
        raise DataError(
            str(path),
            f"stops decoding after {decoded} frames: {fault}",
            _REPLACE if not frames else f"{_REPLACE} Or keep what comes before, with broken: keep_decoded.",
        )
    if not frames:
        raise DataError(str(path), "has no video frame", _REPLACE)
    return Clip(np.stack(frames), np.array(number), rate, decoded, fault)


class _Fault(Exception):
    """The decoder cannot read the file."""


def _decode(path: Path) -> Iterator[tuple[Any, float]]:
    """Yield the frames of the first video stream, decoded strictly, and its frames per second.

    Raises:
        _Fault: the decoder reports a fault, or the file ends too early.
    """
    import av

    av.logging.set_level(av.logging.PANIC)  # faults come as exceptions, which contain the library's messages
    decoded = 0
    try:
        with av.open(str(path), options=LOCAL_VIDEO) as container:
            if not container.streams.video:
                raise _Fault("it contains no video")
            stream = container.streams.video[0]
            stream.thread_type = "NONE"  # one core per worker; and a frame's bytes must not depend on threads
            stream.codec_context.options = {"err_detect": "explode"}
            _check_size(path, stream.width, stream.height)
            rate = float(stream.average_rate or stream.guessed_rate or 0)
            if rate <= 0:
                raise _Fault("its frame rate is unknown")
            for frame in container.decode(stream):
                if (frame.height, frame.width) != (stream.height, stream.width):
                    raise _Fault(f"its frames change size, from {stream.width} x {stream.height}")
                decoded += 1
                yield frame, rate
            promised = _promised(container, stream)
    except av.error.FFmpegError as error:
        raise _Fault(error.strerror or type(error).__name__) from None
    if decoded < promised:
        raise _Fault(f"the file promises {promised}")
    if path.suffix.lower() == ".gif" and not _gif_ends(path):
        raise _Fault("the GIF ends before its last block")


def _promised(container: Any, stream: Any) -> int:
    """Return the number of frames that the file states, 0 for unknown.

    An edit list of MP4 may hide frames: the index has no entry for them, or one to discard.
    """
    if "mp4" in container.format.name:
        return sum(not entry.is_discard for entry in stream.index_entries)
    return int(stream.frames)


def _upright(frame: Any) -> np.ndarray:
    """Return a frame in gray as a player shows it, turned or mirrored as the file states.

    Raises:
        _Fault: it is turned by another angle than a multiple of 90 degrees.
    """
    gray: np.ndarray = frame.to_ndarray(format="gray")
    matrix = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return gray
    if frame.rotation % 90:
        raise _Fault(f"its frames are turned by {frame.rotation} degrees")
    a, b, _, c, d = np.frombuffer(bytes(matrix), np.int32)[:5].tolist()
    gray = np.flipud(gray) if a * d < b * c else gray
    return np.rot90(gray, frame.rotation // 90)  # counterclockwise


def _check_size(path: Path, width: int, height: int) -> None:
    if width * height > MAX_FRAME_PIXELS:
        raise DataError(
            str(path),
            f"has frames of {width} x {height} pixels, expected at most {MAX_FRAME_PIXELS // 10**6} million",
            "Reduce the video before use.",
        )


def _gif_ends(path: Path) -> bool:
    """Return whether a GIF's blocks lead to its end mark; to the decoder a cut file is a shorter GIF."""
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
