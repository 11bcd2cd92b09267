"""Splats that show nothing move to where pictures pull hardest: pruning and densification of a fixed number.

After Kheradmand et al. 2024 (3D Gaussian Splatting as Markov Chain Monte Carlo), by the pull of Kerbl et
al. 2023.
"""

import torch

from sansface.splats.splats import Splats

FADED = 0.05
"""Opacity below which a splat moves."""
IDLE = 0.05
"""One that was pulled at by less than this share of the mean is hidden, and moves too."""
SMALLER = 1.6
"""Each of two halves is so much smaller than the whole was (Kerbl et al. 2023)."""


def pull(splats: Splats) -> None:
    """Add how hard this step's pictures pull at each splat: the length of the derivative by its centre."""
    if splats.centres.grad is not None:
        splats.need += splats.centres.grad.square().sum(dim=1).sqrt()


@torch.no_grad()
def relocate(splats: Splats, optimiser: torch.optim.Adam, generator: torch.Generator) -> int:
    """Put each idle splat beside one that is drawn by its need, and halve that; both forget Adam's moments.

    Args:
        generator: on the splats' device.

    Returns:
        how many moved.
    """
    idle = (splats.opacities() < FADED) | (splats.need < IDLE * splats.need.mean())
    need = splats.need * ~idle
    moving = idle.nonzero()[:, 0][: int((need > 0).sum())]
    splats.need.zero_()
    if not len(moving):
        return 0
    whole = torch.multinomial(need, len(moving), generator=generator)
    both = torch.cat([whole, moving])
    along = torch.randn((len(whole), 2), generator=generator, device=need.device) * splats.scales()[whole]
    offset = torch.einsum("nik,nk->ni", splats.axes()[whole, :, :2], along)
    # Two of this opacity let through what one did.
    opacity = 1 - (1 - splats.opacities()[whole]).sqrt()
    for parameter in splats.parameters():
        parameter[moving] = parameter[whole]
        for name, moment in optimiser.state[parameter].items():
            if name != "step":
                moment[both] = 0
    splats.centres[moving] += offset
    splats.centres[whole] -= offset
    splats.log_scales[both] -= torch.tensor(SMALLER).log().item()
    splats.logits[both] = torch.cat([opacity, opacity]).clamp(min=FADED).logit()
    return len(moving)
