"""The verb template: learn the head that stands in for photographs from behind."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from sansface.cli.words import Flag, Out, check_free
from sansface.extras import require
from sansface.progress import progress_bar


@dataclass(frozen=True)
class TrainTemplate:
    """train: a head template from synthetic identities, for `reconstruct --template`. A minute or two.

    Needs the asset ict. The package comes with such a template: the mean of many heads, and nobody's.
    """

    what: Positional[Literal["train"]]
    """What to do."""
    out: Out
    """File for the template, such as head.safetensors."""
    heads: int = 24
    """Identities that it is learnt from, 10 or more."""
    seed: int = 0
    """Decides which identities, and everything random."""
    steps: int = 2000
    """Of the optimiser."""
    overwrite: Flag = False
    """Replace an earlier template of that name."""

    def run(self) -> None:
        require("sansface.heads.template", extra="reconstruct")
        from sansface.fields.template import write_template
        from sansface.heads.parametric import load_head_model
        from sansface.heads.template import TrainSettings, train_template

        check_free(self.out, self.overwrite)
        settings = TrainSettings(heads=self.heads, seed=self.seed, steps=self.steps)
        model = load_head_model()
        with progress_bar("training the template") as show:
            template = write_template(train_template(model, settings, show), self.out)
        print(f"{self.out}: {self.heads} identities, {self.out.stat().st_size // 1000} kB")
        print(f"SHA-256 {template.sha256}")
