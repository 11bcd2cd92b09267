"""How a loop becomes machine code."""

from collections.abc import Callable
from typing import Any

import numba

HOW: dict[str, Any] = {"nogil": True, "fastmath": {"contract", "reassoc", "nsz", "arcp"}}
"""Other threads run meanwhile. No `nnan`: what is not a number must not become an index."""


def compiled(function: Callable) -> Callable:
    """A loop as machine code, made when it is first called and kept in the user's cache."""
    try:
        return numba.njit(cache=True, **HOW)(function)
    except RuntimeError:  # no folder to keep it in: made anew by each process
        return numba.njit(**HOW)(function)


def within(function: Callable) -> Callable:
    """A part of a loop, to be put in where it is called."""
    return numba.njit(inline="always", **HOW)(function)
