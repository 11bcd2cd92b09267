"""The verb neural-head: learn the head that is rendered from codes."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Positional

from sansface.cli.words import Flag, Out, check_free
from sansface.extras import require
from sansface.progress import progress_bar


@dataclass(frozen=True)
class TrainNeuralHead:
    """train: a neural head from pictures of synthetic identities. Some minutes.

    Needs the asset ict. The package comes with such a head; docs/neural-head.md says what it is good for.
    """

    what: Positional[Literal["train"]]
    """What to do."""
    out: Out
    """File for the head, such as head.safetensors."""
    heads: int = 96
    """Identities that its colours are learnt from, each pictured several times."""
    seed: int = 0
    """Decides which identities, and everything random."""
    overwrite: Flag = False
    """Replace an earlier head of that name."""

    def run(self) -> None:
        require("sansface.heads.neural.train", extra="reconstruct")
        from sansface.heads.neural.file import write_neural_head
        from sansface.heads.neural.train import NeuralSettings, train_neural_head
        from sansface.heads.parametric import load_head_model

        check_free(self.out, self.overwrite)
        settings = NeuralSettings(heads=self.heads, seed=self.seed)
        model = load_head_model()
        with progress_bar("training the neural head") as show:
            write_neural_head(train_neural_head(model, settings, show), self.out)
        print(f"{self.out}: {self.heads} identities, {self.out.stat().st_size // 1000} kB")
