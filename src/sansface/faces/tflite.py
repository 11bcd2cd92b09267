"""A TensorFlow Lite network on the device's own processor."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from sansface import assets
from sansface.extras import require


class Network:
    """One of the assets, ready to run. Not to be shared between threads.

    Raises:
        SansfaceError: ai-edge-litert is not installed, or the asset is not here.
    """

    def __init__(self, name: str) -> None:
        interpreter = require("ai_edge_litert.interpreter", extra="faces").Interpreter
        with without_chatter():
            self._run = interpreter(model_path=str(assets.find(name)), num_threads=1)
            self._run.allocate_tensors()
        self._in = self._run.get_input_details()[0]["index"]
        self._out = [output["index"] for output in self._run.get_output_details()]

    def __call__(self, picture: np.ndarray) -> list[np.ndarray]:
        """Outputs without axes of length one, for a (h, w, 3) picture in the range that the network wants."""
        self._run.set_tensor(self._in, picture[None].astype(np.float32))
        self._run.invoke()
        return [self._run.get_tensor(index).squeeze() for index in self._out]


@contextmanager
def without_chatter() -> Iterator[None]:
    """Silence what libraries print on the process's stderr while they load; errors are still raised."""
    sys.stderr.flush()
    saved, null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(null)


def sigmoid(value: np.ndarray | float) -> np.ndarray:
    """1 / (1 + e^−x)."""
    return 1 / (1 + np.exp(-np.clip(value, -50, 50)))
