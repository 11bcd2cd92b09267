"""Where a face shows in a picture, if any detector can see one: turned, mirrored, at several sizes.

Three detectors look, with low thresholds, for a face that is missed costs more than one that is imagined:
YuNet (Wu, Peng and Yu 2023), MediaPipe's short-range detector (BlazeFace, Bazarevsky et al. 2019), and
MediaPipe's landmark network (Kartynnik et al. 2019), which says of YuNet's weak candidates whether they are
faces.
"""

from dataclasses import dataclass, replace

import cv2
import numpy as np

from sansface import assets
from sansface.faces.tflite import Network, sigmoid, without_chatter

SIZES = (128, 256, 512)
"""Longer sides in pixels at which YuNet looks, up to the picture's own. It finds faces of 10 to 300."""
LARGE = (1024, 2048)
"""Further sizes for whoever looks for all faces, of whom many may be small."""
TURNS = (0, 90, 180, 270, 30, 60, 120, 150, 210, 240, 300, 330)
"""Degrees by which the picture is turned; the networks bear half such a step. Right angles come first."""
UPRIGHT = 4
"""So many of the looks are at right angles."""
THRESHOLD = 0.6
"""Of YuNet's score: half faces seldom stay below 0.65, the back of a bald head below 0.55."""
SURE = 0.85
"""YuNet's score from which on it is a whole face, perhaps the right way up."""
LYING = 0.8
"""YuNet's score or the landmark network's word from which on something is a face that lies, beside a surer
one that does not: of 58 that YuNet imagines in shoulders and hair on 400 photographs, 54 have less."""
SHORT_RANGE = 0.7
"""Of the short-range detector's score: half faces 0.7 to 0.9, the back of a bald head below 0.6."""
PRESENCE = 0.5
"""Of the landmark network's own word."""
CANDIDATE = 0.1
"""YuNet's score from which on the landmark network is asked."""
CANDIDATES = 4
"""So many of a picture are asked about, the best ones."""
MARGINS = (1.5, 2.0)
"""Sides of the landmark network's square, in sides of the face."""
SIDE = 192
"""Pixels of the landmark network's input."""
GREY = (127, 127, 127)
"""Beside a turned picture: edges that repeat the picture's own last pixels look like heads."""


@dataclass(frozen=True, eq=False)
class Finding:
    """A face, or what a detector takes for one.

    Attributes:
        kind: `face`, `short range` or `landmarks`: which detector.
        score: its confidence, 0 to 1.
        box: (4,) float64 left, top, width, height in the picture's pixels, before it is turned about its own
            centre.
        landmarks: float64 pixels. Of a `face` (5, 2): the subject's right eye, left eye, nose tip, right and
            left corner of the mouth. Of `landmarks` (468, 2): MediaPipe's mesh, in its order.
        turned: degrees, counter-clockwise, by which the picture was turned to find the face; so the face lies
            turned clockwise by them.
        mirrored: whether the picture was mirrored, too.
        seen: of `landmarks`: the `face` that they were found in, by the detector.
    """

    kind: str
    score: float
    box: np.ndarray
    landmarks: np.ndarray | None = None
    turned: int = 0
    mirrored: bool = False
    seen: "Finding | None" = None

    @property
    def extent(self) -> np.ndarray:
        """(4,) left, top, width, height of the upright box around the turned one."""
        turn, size = np.radians(self.turned), self.box[2:]
        upright = np.abs(np.cos(turn)) * size + np.abs(np.sin(turn)) * size[::-1]
        return np.concatenate([self.box[:2] + (size - upright) / 2, upright])


class Detectors:
    """All of them, loaded once. Not to be shared between threads.

    Raises:
        SansfaceError: a model is not on this device, or the extra `faces` is not installed.
    """

    def __init__(self) -> None:
        yunet = str(assets.find("yunet"))
        self.short_range = Network("face-short-range")
        self.landmarks = Network("face-landmarks")
        with without_chatter():
            self.yunet = cv2.FaceDetectorYN.create(yunet, "", (320, 320), CANDIDATE, 0.3, 50)


def find_faces(picture: np.ndarray, detectors: Detectors | None = None) -> list[Finding]:
    """Look for a face until a look finds one.

    A look is one turn, mirrored or not, by YuNet at all sizes and by the short-range detector. The four right
    angles are always looked at, for both networks believe in faces upside down, if less; the surest face gets
    landmarks. Where every look was in vain, the landmark network has the last word on the best candidates.

    Args:
        picture: (h, w, 3) uint8 sRGB.
        detectors: loaded ones, to save time.

    Returns:
        What was found, best first. Empty: none of all looks found anything.

    Raises:
        SansfaceError: see `Detectors`.
    """
    detectors = detectors or Detectors()
    longer = max(picture.shape[:2])
    pictures = [_of_size(picture, size) for size in sorted({min(size, longer) for size in SIZES})]
    found: list[Finding] = []
    seen: list[Finding] = []
    looks = [(turned, mirrored) for mirrored in (False, True) for turned in TURNS]
    for count, (turned, mirrored) in enumerate(looks, start=1):
        views = [_View(picture, small, turned, mirrored) for small in pictures]
        faces = [face for view in views for face in view.yunet(detectors.yunet)]
        found += [face for face in faces if face.score >= THRESHOLD]
        found += views[0].short_range(detectors.short_range)
        seen += faces
        if found and count >= UPRIGHT:
            best = max(seen, key=_score, default=None)
            if best is not None and best.score >= SURE:
                found += _landmarks(picture, best, detectors.landmarks)
            return sorted(found, key=_score, reverse=True)
    candidates = sorted(seen, key=_score, reverse=True)[:CANDIDATES]
    found = [one for candidate in candidates for one in _landmarks(picture, candidate, detectors.landmarks)]
    return sorted(found, key=_score, reverse=True)


def all_faces(picture: np.ndarray, detectors: Detectors | None = None) -> list[Finding]:
    """Every face of a picture, upright, lying or upside down, small ones and large ones.

    Where none is found at a right angle, what `find_faces` finds. Of a face that the landmark network
    confirms there is the finding with its landmarks; of others what the detector said: something that looks
    like a face and may be one.

    Args:
        picture: (h, w, 3) uint8 sRGB.
        detectors: loaded ones, to save time.

    Returns:
        Findings of kind `landmarks` or `face`, best first, each face once.

    Raises:
        SansfaceError: see `Detectors`.
    """
    detectors = detectors or Detectors()
    longer = max(picture.shape[:2])
    pictures = [_of_size(picture, size) for size in sorted({min(size, longer) for size in (*SIZES, *LARGE)})]
    views = (_View(picture, small, turned, False) for turned in TURNS[:UPRIGHT] for small in pictures)
    seen = [face for view in views for face in view.yunet(detectors.yunet) if face.score >= THRESHOLD]
    if not seen:
        faces = find_faces(picture, detectors)
        seen = [face for face in faces if face.kind == "face" and face.score >= THRESHOLD]
    found: list[Finding] = []
    for face in sorted(seen, key=_score, reverse=True):
        if any(overlap(face.box, other.box) for other in found):
            continue
        one = next(iter(_landmarks(picture, face, detectors.landmarks)), face)
        lies = bool(found) and face.turned not in (0, found[0].turned)
        if lies and max(face.score, one.score) < LYING:
            continue
        if not any(_part(one, other, lies) for other in found):
            found.append(one)
    return found


def followed(picture: np.ndarray, last: np.ndarray, detectors: Detectors) -> Finding | None:
    """A face where one was on the frame before, if the landmark network still sees it: no detector is asked.

    Args:
        picture: (h, w, 3) uint8 sRGB.
        last: (468, 2) landmarks on the frame before.
    """
    low, high = last.min(axis=0), last.max(axis=0)
    before = Finding("face", 1.0, np.concatenate([low, high - low]), last[[33, 263]])
    found = next(iter(_landmarks(picture, before, detectors.landmarks)), None)
    if found is None or found.landmarks is None:
        return None
    return replace(found, box=_around(found))


def overlap(one: np.ndarray, other: np.ndarray) -> bool:
    """Whether two boxes (4,), left, top, width, height, share more than a third of both together."""
    low = np.maximum(one[:2], other[:2])
    high = np.minimum(one[:2] + one[2:], other[:2] + other[2:])
    both = np.prod(np.maximum(high - low, 0))
    return bool(both > (np.prod(one[2:]) + np.prod(other[2:]) - both) / 3)


def _part(one: Finding, whole: Finding, lies: bool) -> bool:
    """Whether one is but eyes and nose of a whole: seen within its mesh, it has that mesh, too, or lies.

    Meshes alone do not tell: that of a profile spreads over the face beside it.
    """
    if whole.kind != "landmarks":
        return False
    mesh = _around(whole)
    if (np.abs(_center(one) - mesh[:2] - mesh[2:] / 2) > mesh[2:] / 2).any():
        return False
    return lies or (one.kind == "landmarks" and overlap(_around(one), mesh))


def _around(finding: Finding) -> np.ndarray:
    """(4,) left, top, width, height of the landmarks."""
    assert finding.landmarks is not None
    low, high = finding.landmarks.min(axis=0), finding.landmarks.max(axis=0)
    return np.concatenate([low, high - low])


def _score(finding: Finding) -> float:
    return finding.score


def _of_size(picture: np.ndarray, size: int) -> np.ndarray:
    height, width = picture.shape[:2]
    scale = size / max(height, width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    return cv2.resize(picture, shape, interpolation=cv2.INTER_AREA)


class _View:
    """A reduced picture, turned about its centre on a grey ground that holds it all, and mirrored or not."""

    def __init__(self, picture: np.ndarray, small: np.ndarray, turned: int, mirrored: bool) -> None:
        height, width = small.shape[:2]
        turn = np.eye(3)
        turn[:2] = cv2.getRotationMatrix2D((width / 2, height / 2), turned, 1.0)
        cosine, sine = np.abs(turn[0, :2])
        self.width = int(np.ceil(width * cosine + height * sine))
        self.height = int(np.ceil(width * sine + height * cosine))
        turn[:2, 2] += (self.width - width) / 2, (self.height - height) / 2
        if mirrored:
            turn = np.array([[-1.0, 0, self.width], [0, 1, 0], [0, 0, 1]]) @ turn
        self.pixels = cv2.warpAffine(small, turn[:2], (self.width, self.height), borderValue=GREY)
        self.scale = picture.shape[1] / width
        self.back = np.diag([self.scale, picture.shape[0] / height, 1.0]) @ np.linalg.inv(turn)
        self.turned, self.mirrored = turned, mirrored

    def yunet(self, network: cv2.FaceDetectorYN) -> list[Finding]:
        network.setInputSize((self.width, self.height))
        _, rows = network.detect(np.ascontiguousarray(self.pixels[:, :, ::-1]))
        found = []
        for row in np.zeros((0, 15)) if rows is None else rows.astype(np.float64):
            points = self._in_picture(row[4:14].reshape(5, 2))
            points = points[[1, 0, 2, 4, 3]] if self.mirrored else points
            found.append(self._finding("face", row[14], row[:4], points))
        return found

    def short_range(self, network: Network) -> list[Finding]:
        """The best of the network's 896 anchors, where it is good enough."""
        side = 128
        scale = side / max(self.width, self.height)
        margin = (side - scale * np.array([self.width, self.height])) / 2
        fit = np.column_stack([scale * np.eye(2), margin])
        square = cv2.warpAffine(self.pixels, fit, (side, side), borderValue=GREY)
        regressions, logits = network(square / 127.5 - 1)
        best = int(logits.argmax())
        score = float(sigmoid(logits[best]))
        if score < SHORT_RANGE:
            return []
        offset, size = regressions[best, :4].astype(np.float64).reshape(2, 2)
        corner = (_ANCHORS[best] * side + offset - size / 2 - margin) / scale
        return [self._finding("short range", score, np.concatenate([corner, size / scale]))]

    def _in_picture(self, points: np.ndarray) -> np.ndarray:
        return points @ self.back[:2, :2].T + self.back[:2, 2]

    def _finding(self, kind: str, score: float, box: np.ndarray, points: np.ndarray | None = None) -> Finding:
        size = box[2:] * self.scale
        corner = self._in_picture((box[:2] + box[2:] / 2)[None])[0] - size / 2
        return Finding(kind, float(score), np.concatenate([corner, size]), points, self.turned, self.mirrored)


def _anchors() -> np.ndarray:
    """(896, 2) centres of the short-range detector's anchors: two in each cell of 16 x 16, six of 8 x 8."""
    grids = []
    for cells, each in ((16, 2), (8, 6)):
        centres = (np.arange(cells) + 0.5) / cells
        grid = np.stack(np.meshgrid(centres, centres), axis=-1).reshape(-1, 2)
        grids.append(grid.repeat(each, axis=0))
    return np.concatenate(grids)


_ANCHORS = _anchors()


def _landmarks(picture: np.ndarray, face: Finding, network: Network) -> list[Finding]:
    """One finding with the mesh of a face that YuNet found, if the network takes it for one; else none.

    The network looks at the face upright in a square, with two margins, and again where its own mesh lies.
    """
    assert face.landmarks is not None
    eyes = face.landmarks[:2]
    first = [_mesh(picture, _center(face), eyes, margin * face.box[2:].max(), network) for margin in MARGINS]
    score, points = max(first, key=lambda one: one[0])
    if score < PRESENCE:
        return []
    low, high = points.min(axis=0), points.max(axis=0)
    again, better = _mesh(
        picture, (low + high) / 2, points[[33, 263]], MARGINS[0] * (high - low).max(), network
    )
    points = better if again >= score / 2 else points
    seen = face if len(face.landmarks) == 5 else None
    return [replace(face, kind="landmarks", score=score, landmarks=points, seen=seen)]


def _mesh(
    picture: np.ndarray, centre: np.ndarray, eyes: np.ndarray, side: float, network: Network
) -> tuple[float, np.ndarray]:
    """The network's word whether there is a face, 0 to 1, and (468, 2) pixels of the picture.

    It looks at the square of that centre and side, turned so that the line from eye to eye lies level.
    """
    across = eyes[1] - eyes[0]
    angle = float(np.degrees(np.arctan2(across[1], across[0])))
    fit = cv2.getRotationMatrix2D((float(centre[0]), float(centre[1])), angle, float(SIDE / side))
    fit[:, 2] += SIDE / 2 - centre
    square = cv2.warpAffine(picture, fit, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE)
    points, logit = sorted(network(square / 255.0), key=lambda output: -output.size)
    back = cv2.invertAffineTransform(fit)
    return float(sigmoid(logit)), points.reshape(468, 3)[:, :2] @ back[:, :2].T + back[:, 2]


def _center(face: Finding) -> np.ndarray:
    return face.box[:2] + face.box[2:] / 2
