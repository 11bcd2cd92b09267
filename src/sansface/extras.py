"""Optional parts: a missing one says on use, in one line, how to install it."""

import importlib
from types import ModuleType

from sansface.errors import SansfaceError


def require(module: str, *, extra: str) -> ModuleType:
    """Import a module that only an extra of the package brings: require("torch", extra="reconstruct").

    Raises SansfaceError with the install line where the module, or one that it needs, is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise SansfaceError(
            f"{error.name} is not installed and this step needs it: pip install 'sansface[{extra}]'"
        ) from error
