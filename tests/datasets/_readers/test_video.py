"""Videos whose container hides, delays, turns or reorders frames."""

from __future__ import annotations

import struct
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from benchmark.datasets._readers.video import read_clip
from benchmark.errors import DataError

FRAMES, SIDE, RATE = 60, 96, 30
TICKS = 512  # of a frame in FFmpeg's MP4 at 30 Hz


def written(path: Path, *, codec: str = "mpeg4", b_frames: int = 0, **options: str) -> Path:
    """Write frames that brighten by 3, with a bright corner at the top left."""
    with av.open(str(path), "w", options=options) as container:
        stream: Any = container.add_stream(codec, rate=Fraction(RATE))
        stream.width = stream.height = SIDE
        stream.pix_fmt = "yuv420p"
        stream.codec_context.gop_size, stream.codec_context.max_b_frames = 12, b_frames
        for k in range(FRAMES):
            pixels = np.full((SIDE, SIDE), 20 + 3 * k, np.uint8)
            pixels[:40, :40] = 240
            frame = av.VideoFrame.from_ndarray(pixels, format="gray").reformat(format="yuv420p")
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def moved(source: Path, target: Path, frames: int) -> Path:
    """Copy a video so that its first ``frames`` lie before its start, where an edit list hides them."""
    options = {"avoid_negative_ts": "disabled", "use_editlist": "1"}
    with av.open(str(source)) as given, av.open(str(target), "w", options=options) as container:
        stream = container.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(given.streams.video[0]):
            if packet.dts is not None and packet.pts is not None:
                packet.pts -= frames * TICKS
                packet.dts -= frames * TICKS
                packet.stream = stream
                container.mux(packet)
    return target


@pytest.mark.parametrize("hidden", [1, 10, 20])
@pytest.mark.parametrize(("codec", "b_frames"), [("mpeg4", 0), ("mpeg4", 2), ("libx264", 3)])
def test_frames_that_an_edit_list_hides_are_left_out(
    tmp_path: Path, hidden: int, codec: str, b_frames: int
) -> None:
    """A video that was cut without encoding it anew gives the frames that a player shows, and no fault."""
    whole = written(tmp_path / "whole.mp4", codec=codec, b_frames=b_frames)
    everything = read_clip(whole, hertz=RATE, most=FRAMES).frames
    clip = read_clip(moved(whole, tmp_path / "a.mp4", hidden), hertz=RATE, most=FRAMES)
    assert clip.fault == ""
    assert np.array_equal(clip.frames, everything[hidden:])
    assert clip.number.tolist() == list(range(FRAMES - hidden))


def test_a_late_start_leaves_all_frames(tmp_path: Path) -> None:
    """A start ten frames after zero hides nothing."""
    whole = written(tmp_path / "whole.mp4")
    assert read_clip(moved(whole, tmp_path / "a.mp4", -10), hertz=RATE, most=FRAMES).decoded == FRAMES


@pytest.mark.parametrize("flags", ["faststart", "frag_keyframe+empty_moov"])
def test_a_cut_file_is_still_an_error(tmp_path: Path, flags: str) -> None:
    """A file with its index before the frames, or in fragments, is an error when its end is missing."""
    path = written(tmp_path / "a.mp4", movflags=flags)
    assert len(read_clip(path, hertz=RATE, most=FRAMES).frames) == FRAMES
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 6 // 10])
    with pytest.raises(DataError, match="stops decoding after"):
        read_clip(path, hertz=RATE, most=FRAMES)


def turned(path: Path, a: float, b: float, c: float, d: float) -> Path:
    """Replace the display matrix of a track, from the identity."""
    content = path.read_bytes()
    identity = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = content.rindex(identity)  # the first is the movie's
    values = [round(x * 2**16) for x in (a, b, c, d)]
    matrix = struct.pack(">9i", *values[:2], 0, *values[2:], 0, 0, 0, 1 << 30)
    path.write_bytes(content[:place] + matrix + content[place + len(identity) :])
    return path


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ((0, 1, -1, 0), lambda x: np.rot90(x, -1)),  # clockwise, a telephone held upright
        ((-1, 0, 0, -1), lambda x: np.rot90(x, 2)),
        ((0, -1, 1, 0), np.rot90),
        ((-1, 0, 0, 1), np.fliplr),
        ((1, 0, 0, -1), np.flipud),
        ((0, 1, 1, 0), np.transpose),
    ],
)
def test_frames_are_turned_as_the_file_states(tmp_path: Path, matrix: Any, expected: Any) -> None:
    """Frames appear upright: x' = a x + c y, y' = b x + d y (ISO 14496-12, 8.3.2)."""
    path = written(tmp_path / "a.mp4")
    stored = read_clip(path, most=1).frames[0]
    assert np.array_equal(read_clip(turned(path, *matrix), most=1).frames[0], expected(stored))


def test_another_angle_is_refused(tmp_path: Path) -> None:
    """The error states an angle that is no multiple of 90 degrees."""
    half = 0.5**0.5
    with pytest.raises(DataError, match=r"turned by -?45 degrees"):
        read_clip(turned(written(tmp_path / "a.mp4"), half, half, -half, half))
