"""Films: read, written and changed. They are made here, of a photograph that trembles."""

import errno
import io
import sys
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from sansface.cli import main
from sansface.deidentify import video
from sansface.deidentify.change import Face
from sansface.deidentify.faces import Tools, find
from sansface.deidentify.film import CONTAINERS, Copy, Film, Moment
from sansface.deidentify.video import deidentify_film
from sansface.errors import SansfaceError
from sansface.faces.detectors import Detectors, Finding, all_faces, followed, overlap
from sansface.files import written_beside
from sansface.heads.appearance import Appearance
from test_occlusion import with_sunglasses

av = pytest.importorskip("av")
data = pytest.importorskip("skimage.data")

RATE = 25
SLOWLY = list(range(0, 2000, 80))
"""Time stamps, ms: half a second is six frames, a quarter three."""
CANARY = "CANARY"


def trembling(count: int, seed: int = 0, noise: float = 2.0) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Frames of 240 × 220 pixels of a portrait, and the (2, 3) motion from the photograph to each."""
    rng, portrait = np.random.default_rng(seed), data.astronaut()
    frames, ways = [], []
    for _ in range(count):
        way = cv2.getRotationMatrix2D((225.0, 110.0), rng.normal(), 1 + 0.01 * rng.normal())
        way[:, 2] += rng.normal(0, 1.5, 2) - (115, 10)
        frame = cv2.warpAffine(portrait, way, (220, 240), borderMode=cv2.BORDER_REPLICATE)
        frames.append((frame + rng.normal(0, noise, frame.shape)).clip(0, 255).astype(np.uint8))
        ways.append(way)
    return frames, ways


def unseen(frame: np.ndarray) -> np.ndarray:
    """The frame with a mark by which `painted` lets the detectors miss its left half."""
    result = frame.copy()
    result[:16, :16] = (255, 0, 255)
    return result


def is_unseen(frame: np.ndarray) -> bool:
    return np.abs(frame[4:12, 4:12].mean(axis=(0, 1)) - (255, 0, 255)).max() < 30


def landscape(count: int) -> list[np.ndarray]:
    rows, columns = np.mgrid[:160, :200] / 200
    return [
        (255 * np.stack([rows, columns, 0.5 + 0.4 * np.sin(9 * rows + k)], axis=-1)).astype(np.uint8)
        for k in range(count)
    ]


def written(
    path: Path,
    frames: list[np.ndarray],
    stamps: list[int] | None = None,
    turned: int = 0,
    sound: str = "aac",
    layout: str = "mono",
    pictures: str = "libx264",
    pixels: str = "yuv420p",
) -> Path:
    """A film with time stamps in ms, a tone if one is asked for, tags, a chapter and a turn."""
    with av.open(str(path), "w") as film:
        film.metadata.update(title=CANARY, comment=CANARY, location="+48.2082+016.3738/")
        film.metadata["creation_time"] = "2021-03-04T05:06:07Z"
        tone = None
        if frames:
            stream = film.add_stream(pictures, rate=RATE)
            stream.height, stream.width = frames[0].shape[:2]
            stream.pix_fmt, stream.codec_context.time_base = pixels, Fraction(1, 1000)
            stream.metadata["title"] = CANARY
            if turned:
                stream.set_display_rotation(turned)
        if sound:
            tone = film.add_stream(sound, rate=44100, layout=layout)
            tone.metadata["title"] = CANARY
        chapter = {"id": 1, "start": 0, "end": 200, "time_base": Fraction(1, 1000)}
        film.set_chapters([{**chapter, "metadata": {"title": CANARY}}])
        for index, shown in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(shown, format="rgb24")
            frame.pts = stamps[index] if stamps else index * 1000 // RATE
            frame.time_base = Fraction(1, 1000)
            film.mux(stream.encode(frame))
        if frames:
            film.mux(stream.encode(None))
        if tone is not None:
            wave = np.sin(np.arange(44100 * max(len(frames), 5) // RATE) / 16).astype(np.float32)
            for start in range(0, len(wave), 1024):
                frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], "fltp", "mono")
                frame.sample_rate, frame.pts, frame.time_base = 44100, start, Fraction(1, 44100)
                film.mux(tone.encode(frame))
            film.mux(tone.encode(None))
    return path


def copied(
    source: Path, out: Path, change: Callable[[np.ndarray], np.ndarray] = lambda pixels: pixels
) -> list[Moment]:
    film = Film(source)
    with out.open("wb") as file, Copy(file, CONTAINERS[out.suffix]) as copy:
        for moment in film.moments(copy):
            copy.picture(change(moment.pixels), moment)
    return list(Film(out).moments())


def packets(path: Path) -> list[tuple[float, bytes]]:
    """Of the sound: times in seconds, from the first frame on, and bytes."""
    with av.open(str(path)) as film:
        first = float(next(film.decode(video=0)).time)
    with av.open(str(path)) as film:
        found = [packet for packet in film.demux(audio=0) if packet.size]
        return [(float(packet.pts * packet.time_base) - first, bytes(packet)) for packet in found]


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_copy_keeps_times_and_sound_and_leaves_the_rest(tmp_path: Path, suffix: str) -> None:
    stamps = [0, 40, 80, 121, 200, 240, 290, 320]
    source = written(tmp_path / "film.mp4", landscape(8), stamps)
    assert CANARY.encode() in source.read_bytes()
    moments = copied(source, out := tmp_path / f"out{suffix}")
    times = np.array([moment.seconds for moment in moments])
    np.testing.assert_allclose(times - times[0], np.array(stamps) / 1000, atol=1.1e-3)
    was, now = packets(source), packets(out)
    assert [sound for _, sound in now] == [sound for _, sound in was]
    np.testing.assert_allclose([time for time, _ in now], [time for time, _ in was], atol=1.1e-3)
    kept = out.read_bytes()
    assert not any(word in kept for word in (CANARY.encode(), b"48.2082", b"2021-03", b"film.mp4"))
    with av.open(str(out)) as film:
        assert not film.chapters()
        assert {stream.type for stream in film.streams} == {"video", "audio"}
        assert (film.streams.video[0].codec_context.name, film.streams.video[0].format.name) == (
            "h264",
            "yuv420p",
        )
        assert not {"title", "comment", "location", "creation_time"} & set(film.metadata)


@pytest.mark.parametrize("turned", [0, 90, -90, 180])
def test_a_turn_is_applied_and_forgotten(tmp_path: Path, turned: int) -> None:
    (shown,) = landscape(1)
    source = written(tmp_path / "film.mp4", [shown] * 3, turned=turned, sound="")
    moments = copied(source, out := tmp_path / "out.mp4")
    expected = np.rot90(shown, turned // 90)
    assert moments[0].pixels.shape == expected.shape
    assert np.abs(moments[0].pixels.astype(int) - expected).mean() < 3
    with av.open(str(out)) as film:
        assert next(film.decode(video=0)).rotation == 0


@pytest.mark.parametrize(("height", "width"), [(96, 130), (720, 66), (97, 131)])
@pytest.mark.parametrize(("codec", "pixels"), [("ffv1", "bgr0"), ("ffv1", "yuv444p"), ("mjpeg", "yuvj420p")])
def test_colours_stay_what_they_are(tmp_path: Path, height: int, width: int, codec: str, pixels: str) -> None:
    rows, columns = np.mgrid[:height, :width]
    shown = np.stack([255 * rows / height, 255 * columns / width, np.full(rows.shape, 90)], axis=-1)
    source = written(
        tmp_path / "film.mkv", [shown.astype(np.uint8)] * 2, sound="", pictures=codec, pixels=pixels
    )
    read = next(Film(source).moments()).pixels
    moments = copied(source, tmp_path / "out.mp4")
    again = moments[0].pixels[:height, :width]
    assert moments[0].pixels.shape == (height + height % 2, width + width % 2, 3)
    assert np.abs(again.astype(int) - read)[2:-2, 2:-2].mean() < 2.5


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
@pytest.mark.parametrize("share", [0.75, 0.5, 0.01])
def test_a_film_that_is_cut_short_is_refused(tmp_path: Path, suffix: str, share: float) -> None:
    whole = written(tmp_path / f"film{suffix}", landscape(50)).read_bytes()
    short = tmp_path / f"short{suffix}"
    short.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(SansfaceError, match="cut short"):
        list(Film(short).moments())


def test_without_pyav_the_install_line_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(SansfaceError, match=r"av is not installed.*sansface\[video\]"):
        Film(tmp_path / "film.mp4")


def test_what_is_no_film_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    path.write_bytes(b"\0\0\0\x18ftypisom" + bytes(500))
    with pytest.raises(SansfaceError, match="damaged"):
        Film(path)
    with pytest.raises(SansfaceError, match="no pictures"):
        Film(written(tmp_path / "sound.mp4", []))
    with pytest.raises(SansfaceError, match="no such file"):
        Film(tmp_path / "none.mp4")


@pytest.mark.parametrize("sound", ["wavpack", "pcm_s16le"])
def test_sound_that_does_not_go_into_the_file_is_said(tmp_path: Path, sound: str) -> None:
    """Of the first there can be no stream; of the other, whose channels have no places, no whole file."""
    film = Film(written(tmp_path / "film.mkv", landscape(3), sound=sound, layout="stereo"))
    with pytest.raises(SansfaceError, match=rf"{sound}.*\.mkv"):
        film.check_sounds("mp4")
    film.check_sounds("matroska")
    copied(film.path, tmp_path / "out.mkv")


def test_sound_that_goes_into_neither_file(tmp_path: Path) -> None:
    film = Film(written(tmp_path / "film.avi", landscape(3), sound="adpcm_ms"))
    with pytest.raises(SansfaceError, match=r"adpcm_ms .* convert the sound to AAC first"):
        film.check_sounds("matroska")


def test_a_full_disk_leaves_nothing(tmp_path: Path) -> None:
    class Full(io.BytesIO):
        def write(self, chunk: object) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    film = Film(written(tmp_path / "film.mp4", landscape(60)))

    def write() -> None:
        with written_beside(tmp_path / "out.mp4") as part, Copy(Full(), "mp4") as copy:
            part.touch()
            for moment in film.moments(copy):
                copy.picture(moment.pixels, moment)

    with pytest.raises(SansfaceError, match="disk is full"):
        write()
    assert [path.name for path in tmp_path.iterdir()] == ["film.mp4"]


@pytest.fixture
def tools(shared_assets: Path) -> Tools:
    return Tools()


@pytest.fixture
def painted(monkeypatch: pytest.MonkeyPatch) -> list[tuple[np.ndarray, Face]]:
    """Instead of changing a face, which is slow, paint it green; returns middles and who was to be seen.

    Frames that are marked `unseen` show no face to the detectors.
    """
    calls: list[tuple[np.ndarray, Face]] = []

    def change(model, head, photograph, hidden, appearance, face, how, gaze):  # type: ignore[no-untyped-def]
        left, top, width, height = np.rint(head.box).astype(int)
        calls.append((head.landmarks.mean(axis=0), face))
        result = photograph.copy()
        result[max(top, 0) : top + height, max(left, 0) : left + width] = (0, 255, 0)
        return result, None

    def found(picture: np.ndarray, detectors: Detectors) -> list[Finding]:
        faces = all_faces(picture, detectors)
        return [face for face in faces if not is_unseen(picture) or face.box[0] > 180]

    def still_found(picture: np.ndarray, last: np.ndarray, detectors: Detectors) -> Finding | None:
        return None if is_unseen(picture) else followed(picture, last, detectors)

    monkeypatch.setattr(video, "change", change)
    monkeypatch.setattr(video, "all_faces", found)
    monkeypatch.setattr(video, "followed", still_found)
    monkeypatch.setattr(
        video, "appearance_of", lambda *_: Appearance(np.ones((9, 3)), np.zeros(12), np.ones(12))
    )
    return calls


def run(source: Path, tools: Tools, **more: object) -> tuple[video.Told, list[np.ndarray]]:
    out = source.with_name("out.mp4")
    told = deidentify_film(source, out, tools, np.random.default_rng(0), **more)  # type: ignore[arg-type]
    return told, [moment.pixels for moment in Film(out).moments()]


def shows(frame: np.ndarray) -> str:
    """What is to be seen where the face is, by its middle."""
    colour = frame[90:120, 95:125].reshape(-1, 3).mean(axis=0)
    if np.abs(colour - (0, 255, 0)).max() < 30:
        return "changed"
    return "covered" if colour.max() < 20 else "as it was"


def test_a_face_lost_for_a_moment_is_guessed_and_one_lost_for_longer_is_covered(
    tmp_path: Path, tools: Tools, painted: list
) -> None:
    for gap, said in ((2, "changed"), (4, "covered")):
        frames, _ = trembling(gap + 4)
        frames[2:-2] = map(unseen, frames[2:-2])
        told, result = run(written(tmp_path / "film.mp4", frames, SLOWLY[: len(frames)], sound=""), tools)
        assert [shows(frame) for frame in result] == ["changed"] * 2 + [said] * gap + ["changed"] * 2
        assert (told.people, told.guessed) == (1, gap if said == "changed" else 0)
        assert told.covered == (0 if said == "changed" else gap)


def test_before_a_face_is_found_and_after_it_its_place_is_covered_for_a_while(
    tmp_path: Path, tools: Tools, painted: list
) -> None:
    """A second time: what lies beyond a cut is left alone."""
    frames, _ = trembling(10)
    frames = [*map(unseen, frames[:8]), *frames[8:]]
    told, result = run(written(tmp_path / "film.mp4", frames, SLOWLY[:10], sound=""), tools)
    assert [shows(frame) for frame in result] == ["as it was"] * 2 + ["covered"] * 6 + ["changed"] * 2
    assert (told.covered, told.empty, told.changed) == (6, 2, 2)
    other = [cv2.resize(frame, (220, 240))[::-1] for frame in landscape(2)]
    film = [*map(unseen, other), *frames[-2:], *map(unseen, other)]
    _, result = run(written(tmp_path / "film.mp4", film, SLOWLY[:6], sound=""), tools)
    assert [shows(frame) for frame in result] == ["as it was"] * 2 + ["changed"] * 2 + ["as it was"] * 2


def test_a_doubtful_face_is_covered(
    tmp_path: Path, tools: Tools, painted: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a photograph, where such a face is refused: a fit it may bear, and still be a profile."""
    monkeypatch.setattr(video, "doubt", lambda face, head: "a profile, or nearly one")
    told, result = run(written(tmp_path / "film.mp4", trembling(2)[0], sound=""), tools)
    assert [shows(frame) for frame in result] == ["covered"] * 2
    assert (told.changed, told.covered) == (0, 2)


@pytest.mark.parametrize(
    ("worn", "said"),
    [
        (range(7, 12), ["changed"] * 7 + ["covered"] * 5),  # looked for at frames 0, 4 and 8
        (range(4, 5), ["changed"] * 12),  # once is a mistake
        pytest.param(range(12), ["covered"] * 12, marks=pytest.mark.slow),
    ],
)
def test_a_face_is_covered_where_sunglasses_hide_it(
    tmp_path: Path, tools: Tools, painted: list, worn: range, said: list[str]
) -> None:
    frames, _ = trembling(12)
    for k in worn:
        (head,) = find(frames[k], tools).heads
        frames[k] = with_sunglasses(frames[k], head)
    told, result = run(written(tmp_path / "film.mp4", frames, SLOWLY[:12], sound=""), tools)
    assert [shows(frame) for frame in result] == said
    assert (told.changed, told.covered) == (said.count("changed"), said.count("covered"))


def test_two_people_keep_one_identity_each(tmp_path: Path, tools: Tools, painted: list) -> None:
    frames, _ = trembling(6)
    both = [np.concatenate([frame, frames[5 - k][:, ::-1]], axis=1) for k, frame in enumerate(frames)]
    both[3] = unseen(both[3])
    told, _ = run(written(tmp_path / "film.mp4", both, sound=""), tools)
    assert (told.people, told.changed, told.guessed) == (2, 12, 1)
    left = {id(face) for middle, face in painted if middle[0] < 220}
    right = {id(face) for middle, face in painted if middle[0] > 220}
    assert len(left) == len(right) == 1
    assert left != right
    one, other = painted[0][1], painted[1][1]
    assert np.abs(one.identity - other.identity).mean() > 0.5


def test_a_film_without_a_face_is_an_error_and_no_film(tmp_path: Path, tools: Tools) -> None:
    source = written(tmp_path / "film.mp4", landscape(2))
    with pytest.raises(SansfaceError, match="no face"):
        run(source, tools)
    assert list(tmp_path.iterdir()) == [source]


def test_a_stop_on_the_way_leaves_nothing(tmp_path: Path, tools: Tools, painted: list) -> None:
    source = written(tmp_path / "film.mp4", trembling(4)[0])

    def show(done: float) -> None:
        if done > 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(source, tools, show=show)
    assert list(tmp_path.iterdir()) == [source]


def test_a_face_without_a_fit_is_covered(
    tmp_path: Path, tools: Tools, painted: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(video, "fitted", lambda *_: (None, "it is turned too far"))
    told, result = run(written(tmp_path / "film.mp4", trembling(2)[0], sound=""), tools)
    assert [shows(frame) for frame in result] == ["covered"] * 2
    assert (told.people, told.changed, told.covered) == (0, 0, 2)


def test_the_command_changes_a_film(
    tmp_path: Path, shared_assets: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """By its content, not its name; and refuses what it cannot do."""
    frames, _ = trembling(2)
    source = written(tmp_path / "film.mp4", frames).rename(tmp_path / "portrait.jpg")
    out = tmp_path / "out.mp4"
    assert main(["deidentify", str(source), "-o", str(tmp_path / "out.png")]) == 1
    assert ".mp4" in capsys.readouterr().err
    assert main(["deidentify", str(source), str(source), "-o", str(out)]) == 1
    assert "alone" in capsys.readouterr().err
    assert main(["deidentify", str(source), "-o", str(out)]) == 0
    said = capsys.readouterr()
    assert "2 frames" in said.out
    assert "portrait" not in said.err
    result = [moment.pixels.astype(int) for moment in Film(out).moments()]
    for frame, was in zip(result, frames, strict=True):
        assert np.abs(frame - was)[60:150, 80:140].mean() > 12
        assert np.abs(frame - was)[:, :25].mean() < 7  # of the encoder
    assert main(["deidentify", str(source), "-o", str(out)]) == 1
    assert "--overwrite" in capsys.readouterr().err


class Kept:
    """A film in memory, instead of files."""

    path, sounds = Path("film"), 0

    def __init__(self, frames: list[np.ndarray]) -> None:
        self.shown, self.frames = frames, len(frames)
        self.result: list[np.ndarray] = []

    def moments(self, copy: object = None) -> Iterator[Moment]:
        for index, pixels in enumerate(self.shown):
            yield Moment(pixels, index, index / RATE, 1)

    def picture(self, pixels: np.ndarray, moment: Moment) -> None:
        self.result.append(pixels)


def cast_of(film: Kept, tools: Tools) -> video.Cast:
    return video.watch(film, tools, np.random.default_rng(1), lambda done: None)  # type: ignore[arg-type]


def rewritten(film: Kept, cast: video.Cast, tools: Tools) -> list[np.ndarray]:
    film.result = []
    video.rewrite(film, film, cast, tools, 1.0, lambda done: None)  # type: ignore[arg-type]
    return film.result


def restless(frames: list[np.ndarray], ways: list[np.ndarray]) -> float:
    """Mean difference of consecutive frames in the face, brought back onto the photograph; grey levels."""
    back = [
        cv2.warpAffine(frame, way, (512, 512), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        for frame, way in zip(frames, ways, strict=True)
    ]
    faces = [cv2.GaussianBlur(frame, (0, 0), 1.0)[80:150, 200:250].astype(float) for frame in back]
    return float(np.abs(np.diff(faces, axis=0)).mean())


@pytest.mark.slow
def test_steady_heads_flicker_less_and_look_like_one_person(tools: Tools) -> None:
    """Against the same noise on each frame's own fit, light, albedo and gaze."""
    from sansface.recognise.registry import recogniser

    frames, ways = trembling(10)
    film = Kept(frames)
    cast = cast_of(film, tools)
    (person,) = cast.people
    raw = list(person.heads)
    person.settle(tools.model, cast.seconds, 1.0, np.random.default_rng(2))
    ours = rewritten(film, cast, tools)
    assert person.face is not None
    shifts = person.face.identity - person.heads[0].identity, person.face.albedo
    theirs = []
    for frame, head in zip(frames, raw, strict=True):
        single = Kept([frame])
        alone = cast_of(single, tools)
        (one,) = alone.people
        found = one.samples[0][1]
        one.lights, one.hidden = [found.light], np.zeros(1, dtype=bool)
        one.face = Face(head.identity + shifts[0], found.albedo + shifts[1] - person.samples[0][1].albedo)
        theirs += rewritten(single, alone, tools)
    assert restless(ours, ways) < 0.8 * restless(theirs, ways)
    network = recogniser("edgeface")
    eyes = [head.landmarks[[33, 263, 1, 61, 291]] for head in raw]
    cuts = [
        network.placing.cut(frame, five)
        for frame, five in zip([*ours, frames[0]], [*eyes, eyes[0]], strict=True)
    ]
    vectors = network.embed(np.stack(cuts))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    alike = vectors @ vectors.T
    assert alike[:-1, :-1].min() > 0.8
    assert alike[-1, :-1].max() < 0.5


def test_a_face_half_behind_another_is_covered_and_the_other_stays(tools: Tools) -> None:
    """Its box shares more than a third with that of a face which is changed, and yet it is another."""
    (frame,), _ = trembling(1)
    film = Kept([frame])
    cast = cast_of(film, tools)
    (person,) = cast.people
    person.settle(tools.model, cast.seconds, 1.0, np.random.default_rng(2))
    (plain,) = rewritten(film, cast, tools)
    box = person.heads[0].box
    behind = box + np.array([0.4 * box[2], 0, 0, 0])
    assert overlap(behind, box)
    cast.unfitted[0] = [behind]
    (covered,) = rewritten(film, cast, tools)
    left, top, width, height = behind.astype(int)
    inside = covered[top + 1 : top + height, left + 1 : left + width]
    as_it_was = (inside == frame[top + 1 : top + height, left + 1 : left + width]).all(axis=2)
    assert not (as_it_was & inside.any(axis=2)).any()
    assert (~inside.any(axis=2)).mean() > 0.2
    drawn = (plain != frame).any(axis=2)
    np.testing.assert_array_equal(covered[drawn], plain[drawn])
    cast.unfitted[0] = [box + np.array([2, 2, 0, 0])]  # found twice
    np.testing.assert_array_equal(rewritten(film, cast, tools)[0], plain)
