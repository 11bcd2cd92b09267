"""Which device is computed on."""

import torch

from sansface.errors import SansfaceError


def chosen_device(name: str) -> torch.device:
    """`auto` is a CUDA device if there is one.

    Raises:
        SansfaceError: the device cannot be had.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
        torch.rand(1, generator=torch.Generator(device), device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise SansfaceError(
            f"the device {name!r} is not to be had here; use --device auto or cpu."
        ) from error
    return device
