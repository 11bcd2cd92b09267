"""Who knows the method, hides strangers' photographs himself, and teaches a recogniser to see through it.

A copy of the recogniser learns from pairs of a clear face c and the same one hidden, h, by the loss of
`audit.attackers.distillation`: to say of h what the recogniser says of c. Nobody's name is needed, nor any
photograph of those who are looked for but clear ones.
"""

import numpy as np
import torch
from torch.nn import functional as F

from sansface.audit.attackers.descriptors import mirrored, with_mirror_images
from sansface.audit.attackers.distillation import DistillationSettings, Student, unlike
from sansface.audit.attackers.teachable import Teachable
from sansface.audit.attackers.training import Example, drawn_seed, learn


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
    student = Student(teacher, torch.cat(said).mean(dim=0), lambda faces: faces)

    def loss_of(example: Example) -> torch.Tensor:
        shown, seen = example.clear.split(3, dim=1)
        with torch.no_grad():
            goal, layers = teacher(shown)
        goal = F.normalize(goal - student.centre, dim=1)
        return unlike(student(seen), (goal, layers), settings.layers)

    side = pairs.shape[-1]
    learn(student, pairs, side, lambda both, _: both, settings, loss_of, drawn_seed(generator))
    return student


def described(student: Student, faces: np.ndarray) -> dict[str, np.ndarray]:
    """What a student says of faces (n, 112, 112, 3) and of their mirror images, by name (n, 2, d) float32."""
    return with_mirror_images(student.embed(mirrored(faces).transpose(0, 3, 1, 2).copy()))
