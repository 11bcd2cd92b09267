"""Films read frame by frame and written again: pictures and sound, and nothing else of the file.

PyAV reads what FFmpeg reads. H.264 in 4:2:0 of 8 bits is written, with the time stamps of the frames that
were read, whatever their rate; sound is copied packet by packet. Tags, chapters, subtitles, attachments,
pictures of the cover, data streams (where cameras put their place) and whatever hangs on frames stay behind.
Only what says how colours are meant is kept, and the shape of a pixel. A turn is applied to the pixels.
"""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

import numpy as np

from sansface.deidentify.sound_header import plain_header
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.files import os_error_sentence

CODEC, OPTIONS = "libx264", {"crf": "18", "preset": "medium"}
"""What is written: at this constant rate factor a second generation is hardly seen."""
CONTAINERS = {".mp4": "mp4", ".mkv": "matroska"}
"""By the suffix of the file that is written."""
SHORT = 0.3
"""Seconds by which a film may end before its header says: beyond, it was cut short."""
HIGH = 720
"""Rows from which on colours that a film does not explain are BT.709's, else BT.601's, as players hold it."""
BT601, BT709 = 5, 1
"""Matrices from R'G'B' to Y'CbCr, by their numbers in ITU-T H.273."""
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}
"""Those that FFmpeg's scaler knows, and the same or nearest one."""
NARROW, FULL = 1, 2
"""Ranges of values: 16 to 235, and all."""


@dataclass(frozen=True, eq=False)
class Moment:
    """A frame.

    Attributes:
        pixels: (h, w, 3) uint8, R'G'B', upright.
        stamp: its time in units of the film's time base.
        seconds: the same in seconds.
        duration: in the same units, 0 if the film does not say.
    """

    pixels: np.ndarray
    stamp: int
    seconds: float
    duration: int


class Film:
    """A film to be read, more than once.

    Attributes:
        frames: about how many there are, by the header; at least 1.
        sounds: streams of sound.

    Raises:
        SansfaceError: it cannot be read, or has no pictures; or PyAV is not installed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.av = require("av", extra="video")
        with self._opened() as file, self._container(file) as container:
            stream = self._pictures(container)
            self.sounds = len(container.streams.audio)
            rate = float(stream.average_rate or 25)
            self.frames = max(1, stream.frames or round(rate * (container.duration or 0) / 1e6))

    def check_sounds(self, kind: str) -> None:
        """Before any work: does the sound go into such a container? Its first packet is tried.

        Args:
            kind: see `Copy`.

        Raises:
            SansfaceError: it does not.
        """
        remedy = "convert the sound to AAC first" if kind == "matroska" else "name the output .mkv"
        with self._opened() as file, self._container(file) as container:
            for stream in container.streams.audio:
                packets = (packet for packet in container.demux(stream) if packet.dts is not None)
                first = self._asked(lambda packets=packets: next(packets, None))
                try:
                    with self.av.open(io.BytesIO(), "w", format=kind) as trial:
                        copy = _like(trial, stream)
                        if first is not None:
                            first.stream = copy
                            trial.mux(first)
                except (self.av.error.FFmpegError, ValueError) as error:
                    name = stream.codec_context.name
                    raise SansfaceError(
                        f"sound of the kind {name} does not go into such a file; {remedy}."
                    ) from error

    def moments(self, copy: "Copy | None" = None) -> Iterator[Moment]:
        """All frames, in order.

        Args:
            copy: is given the sound, packet by packet, as it comes.

        Raises:
            SansfaceError: it is damaged, cut short or changes its size on the way.
        """
        with self._opened() as file, self._container(file) as container:
            yield from self._moments(container, copy)

    def _moments(self, container: Any, copy: "Copy | None") -> Iterator[Moment]:
        pictures = self._pictures(container)
        pictures.thread_type = "AUTO"
        sounds = list(container.streams.audio)
        if copy:
            copy.begin(pictures, sounds)
        last, end, shape = None, 0.0, None
        demuxed = container.demux()
        while (packet := self._asked(lambda: next(demuxed, None))) is not None:
            if packet.is_corrupt:
                raise self._damaged()
            if packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if copy and packet.stream in sounds and packet.dts is not None:
                copy.sound(packet)
            if packet.stream != pictures:
                continue
            for frame in self._asked(packet.decode):
                stamp = frame.pts if frame.pts is not None else frame.dts
                if stamp is None or (last is not None and stamp <= last):
                    stamp = 0 if last is None else last + 1
                pixels = _upright(frame, self._asked(lambda f=frame: _rgb(f)))
                shape = shape or pixels.shape
                if pixels.shape != shape:
                    raise SansfaceError(f"the film {self.path} changes its size on the way; save it again.")
                last = stamp
                yield Moment(pixels, stamp, float(stamp * frame.time_base), int(frame.duration or 0))
        start = (container.start_time or 0) / 1e6
        if last is None:
            raise SansfaceError(f"the film {self.path} has no frame that can be decoded; record it again.")
        if container.duration and end + SHORT < start + container.duration / 1e6:
            raise self._damaged()

    def _opened(self) -> BinaryIO:
        try:
            return self.path.open("rb")
        except OSError as error:
            raise SansfaceError(os_error_sentence("read the film", self.path, error)) from error

    def _container(self, file: BinaryIO) -> Any:
        # A file object, not a name: FFmpeg then follows no reference to other files and keeps no path.
        return self._asked(lambda: self.av.open(file, metadata_errors="ignore"))

    def _pictures(self, container: Any) -> Any:
        cover = self.av.stream.Disposition.attached_pic
        found = [stream for stream in container.streams.video if not stream.disposition & cover]
        if not found:
            raise SansfaceError(f"the film {self.path} has no pictures; name one that has.")
        return found[0]

    def _asked(self, what: Callable[[], Any]) -> Any:
        """What FFmpeg gives, its errors as one sentence."""
        try:
            return what()
        except (self.av.error.FFmpegError, OSError) as error:
            raise self._damaged() from error

    def _damaged(self) -> SansfaceError:
        return SansfaceError(
            f"the film {self.path} is damaged, cut short or of an unknown kind; copy it again from where it "
            "came."
        )


class Copy:
    """A film that is written. Use it with `with`: whole at its end, or an error.

    Args:
        file: open for writing; frames and sound of the film read go there.
        kind: FFmpeg's name of the container, of `CONTAINERS`.
    """

    def __init__(self, file: BinaryIO, kind: str) -> None:
        self.av = require("av", extra="video")
        # "bitexact": the file does not name the program's version.
        self.container = self.av.open(file, "w", format=kind, options={"fflags": "+bitexact"})
        self.source: Any = None
        self.pictures: Any = None
        self.sounds: dict[int, Any] = {}
        self.waiting: list[Any] = []  # sound before the first frame: until then the streams are not settled

    def begin(self, pictures: Any, sounds: list[Any]) -> None:
        """Make streams like these of the film that is read."""
        self.source = pictures
        self.pictures = self.container.add_stream(CODEC, rate=pictures.average_rate or 25, options=OPTIONS)
        self.pictures.pix_fmt = "yuv420p"
        self.pictures.codec_context.time_base = pictures.time_base
        self.pictures.codec_context.flags |= 1 << 23  # bitexact, here: the encoder does not sign either
        for stream in sounds:
            self.sounds[stream.index] = _like(self.container, stream)

    def sound(self, packet: Any) -> None:
        """Copy a packet."""
        packet.stream = self.sounds[packet.stream.index]
        if self.pictures.codec_context.is_open:
            self.container.mux(packet)
        else:
            self.waiting.append(packet)

    def picture(self, pixels: np.ndarray, moment: Moment) -> None:
        """Write a frame at the time of one that was read.

        Args:
            pixels: (h, w, 3) uint8.
        """
        even = np.pad(pixels, [(0, pixels.shape[0] % 2), (0, pixels.shape[1] % 2), (0, 0)], mode="edge")
        context = self.pictures.codec_context
        matrix = _matrix(self.source.codec_context.colorspace, self.source.codec_context.height)
        if not context.is_open:
            self._describe(context, matrix, *even.shape[:2])
        frame = self.av.VideoFrame.from_ndarray(np.ascontiguousarray(even), format="rgb24")
        frame = frame.reformat(
            format="yuv420p", dst_colorspace=matrix, src_color_range=FULL, dst_color_range=NARROW
        )
        frame.pts, frame.time_base, frame.duration = moment.stamp, self.source.time_base, moment.duration
        self.container.mux(self.pictures.encode(frame))
        while self.waiting:
            self.container.mux(self.waiting.pop(0))

    def _describe(self, context: Any, matrix: int, height: int, width: int) -> None:
        read = self.source.codec_context
        context.width, context.height = width, height
        context.colorspace, context.color_range = matrix, NARROW
        context.color_primaries, context.color_trc = read.color_primaries, read.color_trc
        if shape := self.source.sample_aspect_ratio:
            turned = (height > width) != (read.height > read.width)
            context.sample_aspect_ratio = 1 / shape if turned else shape

    def __enter__(self) -> "Copy":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.container.mux(self.pictures.encode(None))
            self.container.close()
        else:
            with suppress(Exception):  # the first error is the one to tell
                self.container.close()


def _matrix(said: int, height: int) -> int:
    return MATRICES.get(int(said), BT709 if height >= HIGH else BT601)


def _rgb(frame: Any) -> np.ndarray:
    """(h, w, 3) uint8 as it is stored."""
    matrix = _matrix(frame.colorspace, frame.height)
    full = frame.color_range == FULL or frame.format.name.startswith("yuvj")
    ranges = {"src_color_range": FULL if full else NARROW, "dst_color_range": FULL}
    return frame.reformat(format="rgb24", src_colorspace=matrix, **ranges).to_ndarray()


def _like(container: Any, stream: Any) -> Any:
    """A stream of sound to be written like one that is read, but for the names in its header."""
    context = stream.codec_context
    header = plain_header(context.codec.canonical_name, bytes(context.extradata or b""))
    copy = container.add_stream_from_template(stream)
    if header:
        copy.codec_context.extradata = header
    return copy


def _upright(frame: Any, pixels: np.ndarray) -> np.ndarray:
    """The picture turned and mirrored as the film's matrix says: ISO/IEC 14496-12, 8.2.2."""
    said = frame.side_data.get("DISPLAYMATRIX")
    if said is None:
        return pixels
    matrix = np.frombuffer(bytes(said), dtype="<i4").reshape(3, 3)
    if abs(matrix[0, 0]) >= abs(matrix[0, 1]):
        across, down = matrix[0, 0], matrix[1, 1]
    else:
        pixels, across, down = np.swapaxes(pixels, 0, 1), matrix[1, 0], matrix[0, 1]
    pixels = pixels[:, ::-1] if across < 0 else pixels
    return np.ascontiguousarray(pixels[::-1] if down < 0 else pixels)
