"""Fields by name. A new field is one file and one line here (docs/adding-a-field.md)."""

from collections.abc import Callable
from typing import Any

import torch

from sansface.errors import SansfaceError
from sansface.fields.field import Field
from sansface.fields.grid import GridField
from sansface.fields.mlp import MlpField

FIELDS: dict[str, Callable[..., Field]] = {"grid": GridField, "mlp": MlpField}


def make_field(name: str, settings: dict[str, Any], generator: torch.Generator) -> Field:
    """A new field with initial values from a generator on the CPU, whatever device it moves to later.

    Raises:
        SansfaceError: an unknown name or setting.
    """
    if name not in FIELDS:
        raise SansfaceError(f"there is no field {name!r}; choose one of {', '.join(FIELDS)}.")
    state = torch.get_rng_state()
    try:
        # nn.Linear draws from the global generator; borrow it, so that the seed decides everything.
        torch.set_rng_state(generator.get_state())
        return FIELDS[name](**settings, generator=generator)
    except (TypeError, ValueError) as error:
        raise SansfaceError(
            f"the field {name} does not take these settings: {error}; correct them."
        ) from error
    finally:
        torch.set_rng_state(state)
