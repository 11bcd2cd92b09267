"""The verb audit."""

from dataclasses import dataclass, replace
from pathlib import Path

from tyro.conf import Positional

from sansface.cli.words import Flag, Out
from sansface.errors import SansfaceError
from sansface.extras import require
from sansface.progress import progress_bar


@dataclass(frozen=True)
class Audit:
    """Attack pictures protected as a bundle's are, and say how often the right person is named.

    The people are of your own choosing, those in the folder; of the bundle it takes how pictures were
    protected. It attacks with what a skilled adversary would use, and says what guessing gives beside it.
    """

    bundle: Positional[Path]
    """Whose operator, resolution and strengths are attacked."""
    people: Path
    """Folder with a sub-folder of photographs for each person, or a labels.json. Two people at least with ten
    photographs or more are attacked; attackers and thresholds are fitted on the others."""
    out: Out
    """Folder for audit.json and report.html."""
    recogniser: tuple[str, ...] = ("edgeface", "mobilefacenet")
    """edgeface, mobilefacenet, gradients (which needs no weights), onnx:PATH, insightface:PATH,
    deepface:PATH, dlib:PATH."""
    attackers: tuple[str, ...] = ("naive", "parrot", "reverse")
    """naive, outlines, parrot, reverse, search, in the order of what they cost. outlines needs the extra
    faces; of a bundle without gradient magnitudes it is all that there is to attack."""
    trained: Path | None = None
    """Folder of what was found out and learnt, for the next audit; without one all is forgotten. It holds
    faces: landmarks, embeddings, networks that draw them. Only you may read it; share it with nobody."""
    steps: int = 1400
    """Of the reverse attacker's training."""
    student: int = 300
    """Steps in which the parrot teaches a copy of a recogniser to read protected faces, the first one named
    that is a network of convolutions; 0 for none."""
    eyes: float | None = None
    """Pixels between the eyes in a protected picture; else as where a whole head fills it."""
    photographs: int = 10
    """So many photographs of a person, at least, to be attacked."""
    seed: int = 0
    """Of who is enrolled by which photographs, and of the training."""
    device: str = "auto"
    """On which networks are trained: auto, cpu, cuda ..."""
    pictures: Flag = False
    """Show on the page what attackers see of eight people of the folder, and draw back, stamped AUDIT: small,
    but they show people."""
    fail_above: float | None = None
    """Exit code 3 if the strongest attacker, of single pictures or of all of a person at once, names more
    than this share rightly, 0 to 1."""
    overwrite: Flag = False
    """Replace an earlier audit in the folder."""

    def run(self) -> None:
        require("sansface.audit.run", extra="audit")
        import numpy as np

        from sansface.audit.attackers.distillation import DistillationSettings
        from sansface.audit.attackers.inversion import InversionSettings
        from sansface.audit.attempts import AuditSettings
        from sansface.audit.kept import Kept
        from sansface.audit.people import read_people
        from sansface.audit.report import report
        from sansface.audit.run import NOTHING, applicable, audit, finer, placing, protection_of
        from sansface.files import fresh_folder, write_json, write_text
        from sansface.protect.bundle import read_bundle
        from sansface.protect.contents import Share
        from sansface.recognise.detect import Yunet
        from sansface.recognise.registry import recogniser
        from sansface.reconstruct.device import chosen_device

        if self.fail_above is not None and not 0 <= self.fail_above <= 1:
            raise SansfaceError(f"--fail-above {self.fail_above:g} is no share; give 0 to 1.")
        if self.seed < 0 or self.photographs < 2:
            raise SansfaceError("--seed is 0 or more, and --photographs 2 or more; correct them.")
        if not self.recogniser:
            raise SansfaceError("no recogniser is named, and without one nothing is proved; name one.")
        settings = AuditSettings(
            self.attackers,
            self.photographs,
            DistillationSettings(steps=self.student) if self.student else None,
            InversionSettings(steps=self.steps),
        )
        protection = protection_of(read_bundle(self.bundle))
        if protection.share is Share.CAMERA:
            # Not an error: in CI it is the bundle that passes.
            print(f"{NOTHING} Nothing was written.")
            return
        attackers = applicable(self.attackers, protection)
        settings = replace(settings, attackers=attackers)
        placed = placing(protection, self.eyes)
        used = [recogniser(name) for name in self.recogniser]
        device = chosen_device(self.device)
        kept = Kept(self.trained)
        out = fresh_folder(self.out, self.overwrite)
        placings = tuple({one.placing for one in used} | {placed, finer(placed)})
        with progress_bar("reading people") as show:
            people = read_people(
                self.people,
                placings,
                least_eyes=placed.eyes,
                progress=show,
                kept=kept,
                outlined=placed if "outlines" in attackers else None,
            )
        rng = np.random.default_rng(self.seed)
        with progress_bar("attacking") as show:
            sees, shown = Yunet().sees, self.pictures
            found = audit(people, used, protection, placed, rng, settings, show, kept, device, sees, shown)
        write_json(out / "audit.json", found.as_dict())
        write_text(out / "report.html", report(found))
        print(found.sentence())
        print(f"report: {out / 'report.html'}")
        if fused := found.fused():
            print(fused)
        share = found.strongest_of_all.named.rank1.misses.value
        if self.fail_above is not None and share > self.fail_above:
            print(f"that is more than the {100 * self.fail_above:g} % of --fail-above.")
            raise SystemExit(3)
