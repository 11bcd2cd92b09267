"""Reconstructions that are attacked, each in a folder of its own: made once, and never taken for another."""

import json
from pathlib import Path

from sansface.errors import SansfaceError
from sansface.files import read_json
from sansface.reconstruct.config import AnyConfig, Config
from sansface.reconstruct.resume import identity_of
from sansface.reconstruct.run import needed_template, reconstruct, suited
from sansface.reconstruct.supervision import Supervision


def done(supervision: Supervision, config: AnyConfig, seed: int, run: Path) -> bool:
    """Is the reconstruction of just that finished in the folder?

    Raises:
        SansfaceError: another one is there, finished or not.
    """
    if not (run / "config.json").is_file():
        return False
    template = None
    if isinstance(config, Config):
        template = needed_template(supervision, config)
        config = suited(config, supervision, template)
    data = identity_of(supervision, config, seed, template, None)["data"]
    said = read_json(run / "config.json")
    try:
        pairs = {
            "from other pictures": (said["received"]["sha256"], data),
            "with other settings": (said["config"], json.loads(json.dumps(config.as_dict()))),
            "with another seed": (said["seed"], seed),
        }
        status = said["status"]
    except (KeyError, TypeError) as error:
        raise SansfaceError(f"{run / 'config.json'} is not of this version; remove {run}.") from error
    for how, (there, asked) in pairs.items():
        if there != asked:
            raise SansfaceError(f"what {run} holds was reconstructed {how}; remove it, or ask for the same.")
    return status == "done" and (run / "mesh.ply").is_file()


def reconstructed(
    supervision: Supervision, config: AnyConfig, seed: int, run: Path, device: str = "auto"
) -> Path:
    """The folder with the mesh and the radiance, made or gone on with if it is not finished.

    Raises:
        SansfaceError: as `done`, and whatever `reconstruct` says.
    """
    if not done(supervision, config, seed, run):
        run.parent.mkdir(parents=True, exist_ok=True)
        again = run.is_dir()
        reconstruct(supervision, run, config, seed=seed, device=device, resume=again, keep_radiance=True)
    return run
