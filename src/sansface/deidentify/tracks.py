"""Faces followed from frame to frame, so that each keeps one identity.

A face goes to the track whose last place is nearest in position and size, all at once by the assignment of
least cost (Kuhn 1955). A track that has found none for a while ends; a face that no track takes begins one.
Nothing is said of who it is: whoever comes back after that while, or after a cut, is a new person.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.optimize import linear_sum_assignment

LOST = 1.0
"""Seconds after which a track that has found no face ends."""
FARTHEST = 0.7
"""How far a face may move between frames, in its own sizes, a change of size by e counting as one."""
FASTER = 2.0
"""What is added to that a second for which a track has been lost."""
SPEED = 4
"""Sightings back to which the speed at a track's end is taken."""
THUMBNAIL = 16
"""Side of the pictures by which cuts are found."""
CUT = 0.6
"""Correlation of two such pictures, one after the other, below which there is a cut between them."""
FLAT = 2.0
"""Grey levels that count as the least deviation in such a picture, so that noise in the dark is no cut."""


@dataclass(eq=False)
class Track:
    """One face through a film.

    Attributes:
        shot: which, counted by cuts.
        frames: in which it was found, rising.
        boxes: (4,) left, top, width, height in each of them.
    """

    shot: int
    frames: list[int] = field(default_factory=list)
    boxes: list[np.ndarray] = field(default_factory=list)

    def box(self, frame: int) -> np.ndarray:
        """(4,) in any frame: between those where it was found by interpolation, beyond them going on.

        Beyond, the box holds where the face was last and where it would be if it went on as it did.
        """
        if frame <= self.frames[0] or frame >= self.frames[-1]:
            last = len(self.frames) - 1
            end, inner = (0, min(SPEED, last)) if frame <= self.frames[0] else (last, max(last - SPEED, 0))
            steps = self.frames[end] - self.frames[inner]
            speed = (self.boxes[end] - self.boxes[inner]) / steps if steps else np.zeros(4)
            gone = self.boxes[end] + (frame - self.frames[end]) * np.append(speed[:2], (0, 0))
            return _both(self.boxes[end], gone)
        before = bisect_right(self.frames, frame) - 1
        a, b = self.frames[before], self.frames[before + 1]
        share = (frame - a) / (b - a)
        return (1 - share) * self.boxes[before] + share * self.boxes[before + 1]


class Follower:
    """Makes tracks of boxes, frame after frame.

    Attributes:
        tracks: all so far, in the order in which they began.
        shot: the present one.
    """

    def __init__(self) -> None:
        self.tracks: list[Track] = []
        self.shot = 0
        self._alive: list[tuple[Track, float]] = []

    def cut(self) -> None:
        """All tracks end."""
        self.shot += 1
        self._alive = []

    def lost(self, boxes: Sequence[np.ndarray], seconds: float) -> list[Track]:
        """The tracks that go on and would find none of these boxes."""
        taken = self._assigned(boxes, seconds)
        return [track for index, (track, _) in enumerate(self._alive) if index not in taken.values()]

    def step(self, frame: int, seconds: float, boxes: Sequence[np.ndarray]) -> list[Track]:
        """Give each face of a frame to a track.

        Args:
            frame: its number, rising from call to call.
            seconds: its time.
            boxes: (4,) each.

        Returns:
            A track for each box.
        """
        self._alive = [(track, last) for track, last in self._alive if seconds - last <= LOST]
        taken = self._assigned(boxes, seconds)
        result = []
        for number, box in enumerate(boxes):
            if number not in taken:
                self.tracks.append(Track(self.shot))
                self._alive.append((self.tracks[-1], seconds))
                taken[number] = len(self._alive) - 1
            track = self._alive[taken[number]][0]
            track.frames.append(frame)
            track.boxes.append(np.asarray(box, dtype=np.float64))
            self._alive[taken[number]] = track, seconds
            result.append(track)
        return result

    def _assigned(self, boxes: Sequence[np.ndarray], seconds: float) -> dict[int, int]:
        """Box to index of a living track, for those that are near enough."""
        if not boxes or not self._alive:
            return {}
        cost = np.array([[_apart(track.boxes[-1], box) for track, _ in self._alive] for box in boxes])
        reach = np.array([FARTHEST + FASTER * (seconds - last) for _, last in self._alive])
        share = np.minimum(cost / reach, 1)  # beyond reach one is as bad as the other
        rows, columns = linear_sum_assignment(share)
        pairs = zip(rows.tolist(), columns.tolist(), strict=True)
        return {row: column for row, column in pairs if share[row, column] < 1}


class Cuts:
    """Tells cuts between frames that come one after the other."""

    def __init__(self) -> None:
        self._last: np.ndarray | None = None

    def between(self, picture: np.ndarray) -> bool:
        """Is there a cut between the last picture and this one, (h, w, 3) uint8?"""
        small = cv2.resize(picture, (THUMBNAIL, THUMBNAIL), interpolation=cv2.INTER_AREA).mean(axis=2)
        off = small - small.mean()
        last, self._last = self._last, off
        if last is None:
            return False
        least = FLAT * FLAT * off.size
        alike = (off * last).sum() + least
        return bool(alike < CUT * np.sqrt(((off**2).sum() + least) * ((last**2).sum() + least)))


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    size = np.sqrt(max(one[2] * one[3], 1e-9)), np.sqrt(max(other[2] * other[3], 1e-9))
    shift = np.linalg.norm(one[:2] + one[2:] / 2 - other[:2] - other[2:] / 2)
    return float(shift / np.sqrt(size[0] * size[1]) + abs(np.log(size[1] / size[0])))


def _both(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    low = np.minimum(one[:2], other[:2])
    high = np.maximum(one[:2] + one[2:], other[:2] + other[2:])
    return np.concatenate([low, high - low])
