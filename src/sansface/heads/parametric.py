"""The parametric head model of ICT-FaceKit (Li et al. 2020): identities and expressions of one topology.

    vertices = neutral + Σ w_i identity_i + Σ e_j expression_j,      w ~ N(0, 1), e in [0, 1]

Frame of the model: y up, z out of the face, x to the head's own left. It has eyes, mouth and teeth, but no
hair and no colour.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from sansface import assets
from sansface.errors import SansfaceError

MILLIMETRES = 10.0
"""In a unit of the model's file."""


@dataclass(frozen=True, eq=False)
class HeadModel:
    """The model, in millimetres.

    Attributes:
        neutral: (n, 3) float32, the mean head at rest.
        identity: (100, n, 3) float32 offsets of one standard deviation.
        expression: name -> (n, 3) float32 offsets of the whole expression.
        faces: (m, 3) int64 triangles.
        landmarks: (68,) int64 vertices of the usual 68 landmarks.
        parts: name -> (first, last + 1) of its vertices, such as `Face` or `Sclera left`.
    """

    neutral: np.ndarray
    identity: np.ndarray
    expression: dict[str, np.ndarray]
    faces: np.ndarray
    landmarks: np.ndarray
    parts: dict[str, tuple[int, int]]

    def vertices(
        self, identity: Sequence[float] | np.ndarray = (), expression: Mapping[str, float] | None = None
    ) -> np.ndarray:
        """(n, 3) float32 of one head.

        Args:
            identity: weights in standard deviations, of the first directions; the rest are zero.
            expression: weights in [0, 1] by name; a name without its side, such as `mouthSmile`, means both.

        Raises:
            SansfaceError: more weights than directions, one that is not finite, or an unknown expression.
        """
        weights = np.asarray(identity, dtype=np.float32).reshape(-1)
        if len(weights) > len(self.identity) or not np.isfinite(weights).all():
            raise SansfaceError(
                f"an identity is up to {len(self.identity)} finite numbers, not {len(weights)}; correct it."
            )
        result = self.neutral + np.tensordot(weights, self.identity[: len(weights)], axes=1)
        for name, weight in (expression or {}).items():
            names = [found for found in (name, f"{name}_L", f"{name}_R") if found in self.expression]
            if not names or not 0 <= weight <= 1:
                raise SansfaceError(
                    f"there is no expression {name!r} of weight {weight}; weights are from 0 to 1, the names "
                    f"{', '.join(self.expression)}."
                )
            for found in names:
                result += np.float32(weight) * self.expression[found]
        return result

    @cached_property
    def expressions(self) -> np.ndarray:
        """(57, n, 3) float32: all of them, in the order of `expression`."""
        return np.stack(list(self.expression.values()))

    def part(self, *names: str) -> np.ndarray:
        """(k, 3) int64: the faces all of whose vertices belong to these parts."""
        chosen = np.zeros(len(self.neutral), dtype=bool)
        for name in names:
            if name not in self.parts:
                raise SansfaceError(f"the head model has no part {name!r}, but {', '.join(self.parts)}.")
            chosen[slice(*self.parts[name])] = True
        return self.faces[chosen[self.faces].all(axis=1)]

    @cached_property
    def skin(self) -> np.ndarray:
        """(k, 3) int64: the faces of face, head and neck."""
        return self.part("Face", "Head and Neck")


def load_head_model() -> HeadModel:
    """Read the model from the assets (`sansface assets list` says where it is looked for).

    Raises:
        SansfaceError: it is missing or another file.
    """
    with np.load(assets.find("ict"), allow_pickle=False) as file:
        names = [str(name) for name in file["expression_names"]]
        offsets = MILLIMETRES * file["expression"].astype(np.float32)
        parts = zip(file["region_names"], file["region_vertex_range"], strict=True)
        return HeadModel(
            neutral=MILLIMETRES * file["neutral"],
            identity=MILLIMETRES * file["identity"].astype(np.float32),
            expression=dict(zip(names, offsets, strict=True)),
            faces=file["faces"].astype(np.int64),
            landmarks=file["landmarks68"].astype(np.int64),
            parts={str(name): (int(first), int(last)) for name, (first, last) in parts},
        )
