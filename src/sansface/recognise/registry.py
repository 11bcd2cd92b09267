"""Recognisers by name. A new one is one file and one line here."""

from collections.abc import Callable
from pathlib import Path

from sansface.errors import SansfaceError
from sansface.recognise.dlib_network import DlibNetwork
from sansface.recognise.gradients import Gradients
from sansface.recognise.onnx import OnnxRecogniser, deepface, edgeface, insightface, mobilefacenet
from sansface.recognise.recogniser import Recogniser

OURS: dict[str, Callable[[], Recogniser]] = {
    "edgeface": edgeface,
    "mobilefacenet": mobilefacenet,
    "gradients": Gradients,
}
"""Without a path."""
BY_PATH: dict[str, Callable[[Path], Recogniser]] = {
    "onnx": OnnxRecogniser,
    "insightface": insightface,
    "deepface": deepface,
    "dlib": DlibNetwork,
}
"""With the path of the weights, name:path."""


def recogniser(name: str) -> Recogniser:
    """A recogniser by its name, such as `edgeface` or `onnx:weights/mine.onnx`.

    Raises:
        SansfaceError: there is none of that name, a path is missing or too much, the weights are missing or
            not the right ones.
    """
    kind, colon, path = name.partition(":")
    if kind in OURS and not colon:
        return OURS[kind]()
    if kind in BY_PATH and path:
        return BY_PATH[kind](Path(path))
    names = ", ".join([*OURS, *(f"{kind}:PATH" for kind in BY_PATH)])
    raise SansfaceError(f"there is no recogniser {name!r}; choose of {names}.")
