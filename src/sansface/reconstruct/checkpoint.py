"""The state of a run in one file: tensors and, in their header, JSON. Written beside and renamed."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from sansface.errors import SansfaceError
from sansface.files import written_beside

NAME = "checkpoint.safetensors"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """What a run needs to go on exactly: `run` holds stage, step, seconds and what the run is known by."""

    run: dict[str, Any]
    tensors: dict[str, torch.Tensor]

    def restore(self, field: nn.Module, optimiser: torch.optim.Adam | None = None) -> None:
        """Put the values into a field of the same config, and its stage's optimiser if training goes on."""
        names = set(field.state_dict())
        try:
            field.load_state_dict({n: self.tensors[f"field.{n}"] for n in names})
        except (KeyError, RuntimeError) as error:
            raise SansfaceError(
                f"the checkpoint {NAME} belongs to another field; start anew with --overwrite."
            ) from error
        if optimiser is None:
            return
        for i, parameter in enumerate(_parameters(optimiser)):
            kept = {
                key: self.tensors[f"adam.{i}.{key}"] for key in _ADAM if f"adam.{i}.{key}" in self.tensors
            }
            if kept:
                # Adam keeps its step count on the CPU unless it is fused on a GPU; torch moves it as needed.
                optimiser.state[parameter] = {key: value.to(parameter.device) for key, value in kept.items()}


_ADAM = ("step", "exp_avg", "exp_avg_sq")


def save(path: Path, field: nn.Module, optimiser: torch.optim.Adam, run: dict[str, Any]) -> None:
    """Write a checkpoint.

    Raises:
        SansfaceError: disk full or no permission; an older checkpoint is then still whole.
    """
    tensors = {f"field.{name}": value.detach().cpu() for name, value in field.state_dict().items()}
    for i, parameter in enumerate(_parameters(optimiser)):
        for key, value in optimiser.state.get(parameter, {}).items():
            tensors[f"adam.{i}.{key}"] = value.detach().cpu()
    with written_beside(path) as part:
        try:
            save_file({k: v.contiguous() for k, v in tensors.items()}, part, {"run": json.dumps(run)})
        except SafetensorError as error:
            raise OSError(28 if "os error 28" in str(error) else 0, str(error)) from error


def load(path: Path) -> Checkpoint:
    """Read a checkpoint.

    Raises:
        SansfaceError: there is none, or it is damaged.
    """
    if not path.is_file():
        raise SansfaceError(
            f"there is no {path.name} in {path.parent} to resume from; start without --resume."
        )
    try:
        with safe_open(path, framework="pt") as file:
            run = json.loads(file.metadata()["run"])
            # Copies: a file that is still mapped cannot be replaced everywhere.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise SansfaceError(f"{path} is damaged; start anew with --overwrite.") from error
    return Checkpoint(run, tensors)


def _parameters(optimiser: torch.optim.Adam) -> list[torch.Tensor]:
    return [p for group in optimiser.param_groups for p in group["params"]]
