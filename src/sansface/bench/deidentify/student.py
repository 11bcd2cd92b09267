"""Who knows the method, hides strangers' photographs himself, and teaches a recogniser to see through it.

A copy of the recogniser learns from pairs of a clear face c and the same one hidden, h, by the loss of
`audit.attackers.distillation`: to say of h what the recogniser says of c. Nobody's name is needed, nor any
photograph of those who are looked for but clear ones.
"""

from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import torch
from torch.nn import functional as F

from sansface.audit.attackers.distillation import DistillationSettings, unlike
from sansface.audit.attackers.layers import signed_root
from sansface.audit.attackers.linear import directions
from sansface.audit.attackers.teachable import Teachable
from sansface.audit.attackers.training import Example, drawn_seed, learn

EMBEDDING = "embedding"


@dataclass(frozen=True, eq=False)
class Student:
    """Hidden faces to what a recogniser would say of the clear ones.

    Attributes:
        network: a copy of the recogniser, taught.
        centre: (d,) the mean of what the recogniser says of clear faces.
    """

    network: Teachable
    centre: torch.Tensor

    @torch.no_grad()
    def embed(self, faces: np.ndarray, batch: int = 64) -> dict[str, np.ndarray]:
        """What it says of hidden faces and of their mirror images.

        Args:
            faces: (n, 112, 112, 3) float32 sRGB in [0, 1], placed as for a recogniser.

        Returns:
            Its embedding of length 1 and signed square roots of its layers' values: by name (n, 2, d)
            float32.
        """
        both = torch.from_numpy(np.concatenate([faces, faces[:, :, ::-1]]).transpose(0, 3, 1, 2).copy())
        said: dict[str, list[np.ndarray]] = {}
        for part in both.split(batch):
            embedding, layers = self.network(part)
            said.setdefault(EMBEDDING, []).append(directions((embedding - self.centre).numpy()))
            for name, value in layers.items():
                said.setdefault(name, []).append(signed_root(value.flatten(1).numpy()))
        return {
            name: np.stack(np.split(np.concatenate(parts), 2), axis=1).astype(np.float32)
            for name, parts in said.items()
        }

    def about(self, embeddings: np.ndarray) -> np.ndarray:
        """(n, d) of length 1: what the recogniser says of clear faces, as the student would say it."""
        return directions(embeddings - self.centre.numpy())


def teach(
    clear: np.ndarray,
    hidden: np.ndarray,
    teacher: Teachable,
    settings: DistillationSettings,
    generator: torch.Generator,
) -> Student:
    """Teach a student.

    Args:
        clear, hidden: (n, 112, 112, 3) float32 sRGB in [0, 1]: the same faces, placed as for a recogniser.
        teacher: the recogniser's network, which is left as it is.
        settings: both of a pair are turned, moved and bent alike; their tones change apart.
        generator: on the CPU.
    """
    teacher = teacher.eval()
    pairs = torch.from_numpy(np.rint(255 * np.concatenate([clear, hidden], axis=3)).astype(np.uint8))
    pairs = pairs.permute(0, 3, 1, 2).contiguous()
    with torch.no_grad():
        said = [teacher(part[:, :3] / 255)[0] for part in pairs.split(settings.batch)]
    centre, network = torch.cat(said).mean(dim=0), deepcopy(teacher)

    def loss_of(example: Example) -> torch.Tensor:
        shown, seen = example.clear.split(3, dim=1)
        with torch.no_grad():
            goal, layers = teacher(shown)
        told, own = network(seen)
        told, goal = (F.normalize(one - centre, dim=1) for one in (told, goal))
        return unlike((told, own), (goal, layers), settings.layers)

    side = pairs.shape[-1]
    learn(network, pairs, side, lambda both, _: both, settings, loss_of, drawn_seed(generator))
    return Student(network.eval(), centre)
