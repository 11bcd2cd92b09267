"""A whole audit: what it says of people who differ, of people who do not, and of a bundle by the command."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from onnx_files import pupil
from sansface.audit.attackers.distillation import DistillationSettings
from sansface.audit.attackers.integration import IntegrationSettings
from sansface.audit.attackers.inversion import InversionSettings
from sansface.audit.attempts import ATTACKERS, DRAWS, AuditSettings
from sansface.audit.kept import Kept
from sansface.audit.people import CLEAR, People
from sansface.audit.protected import protected
from sansface.audit.report import report
from sansface.audit.run import Audit, _embedded, applicable, audit, finer, placing, protection_of
from sansface.audit.scores import Rate
from sansface.audit.sigma import protecting
from sansface.audit.skin_tone import Third
from sansface.cli import main
from sansface.errors import SansfaceError
from sansface.protect.contents import Share
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.align import Placing
from small import ball_bundle

EVALUATED, EACH, SINGLES = 8, 10, 60
PLACED = Placing(64, 11.0)


class Small:
    """A recogniser by small pictures, less what all have in common."""

    name = "small pictures"
    digest = ""
    input = ""
    placing = CLEAR

    def embed(self, faces: np.ndarray) -> np.ndarray:
        values = faces[:, ::8, ::8].reshape(len(faces), -1)
        return (values - 0.5).astype(np.float32)


def smooth(rng: np.random.Generator, fine: float) -> np.ndarray:
    """(112, 112, 3) float32 in [0, 1], blobs of so many pixels."""
    values = gaussian_filter(rng.normal(size=(112, 112, 3)), (fine, fine, 0))
    return np.clip(0.5 + 0.15 * values / values.std(), 0, 1).astype(np.float32)


def crowd(own: float) -> People:
    """Pictures that are to a share `own` the person's, else the photograph's alone; and so are outlines."""
    labels = np.concatenate([np.repeat(np.arange(EVALUATED), EACH), EVALUATED + np.arange(SINGLES)])
    rng = np.random.default_rng(3)
    person = [smooth(rng, 6) for _ in range(labels.max() + 1)]
    clear = np.stack([own * person[label] + (1 - own) * smooth(rng, 6) for label in labels])
    numbers = np.concatenate([np.tile(np.arange(EACH), EVALUATED), np.zeros(SINGLES, np.int64)])
    return People(
        labels=labels,
        numbers=numbers,
        digests=np.array([f"{index:064x}".encode() for index in range(len(labels))]),
        crops={CLEAR: clear} | {one: one.again(clear, CLEAR) for one in (PLACED, finer(PLACED))},
        eyes=np.full(len(labels), 40.0),
        outlines={PLACED: (PLACED.again(clear, CLEAR).mean(axis=3) > 0.5).astype(np.float32)},
        faceless=((1, 2),),
    )


def found(
    own: float = 0.8,
    attackers: tuple[str, ...] = ("naive", "parrot"),
    trained=None,
    student=None,
    recognisers=(),
    **protection,
):
    settings = AuditSettings(
        attackers,
        student=student,
        inversion=InversionSettings(channels=8, levels=2, steps=20, batch=8),
        search=IntegrationSettings(restarts=1, grids=(1,), steps=3),
    )
    rng = np.random.default_rng(0)
    used = [Small(), *recognisers]
    return audit(crowd(own), used, ProtectSettings(**protection), PLACED, rng, settings, kept=Kept(trained))


@pytest.fixture(scope="module")
def usual() -> Audit:
    return found()


def test_people_who_differ_are_named_and_the_page_says_so(usual):
    result = usual
    assert result.people == EVALUATED
    assert result.probes == EVALUATED * EACH // 2
    assert [attack.attacker for attack in result.attacks] == ["naive"] * 2 + ["parrot"] * 2
    parrot = result.attacks[2].named.rank1.misses
    assert parrot.value > 0.9
    assert result.strongest.named.rank1.misses.value >= parrot.value
    assert result.attacks[3].named.rank1.misses.tries == EVALUATED  # all of a person's pictures are one try
    assert "names the right person of 8 in" in result.sentence()
    assert "guessing gives 12.5 %" in result.sentence()
    page = report(result)
    assert result.sentence() in page
    assert "more than guessing" in page
    assert "1 no face found" in page
    assert "http" not in page.replace("http-equiv", "")
    told = json.loads(json.dumps(result.as_dict(), allow_nan=False))
    assert told["attacks"][2]["named"]["rank1"]["misses"]["value"] == pytest.approx(parrot.value)


def test_every_attack_on_single_pictures_is_verified_on_strangers_as_well(usual):
    naive, _, parrot, at_once = usual.attacks
    strangers = round(SINGLES / 3)
    for attack in (naive, parrot):
        assert [one.threshold.rate for one in attack.verified] == [1e-2, 1e-3]
        assert {one.threshold.pairs for one in attack.verified} == {strangers * EVALUATED}
        assert attack.verified[0].tar.misses.tries == EVALUATED * EACH // 2
    assert parrot.verified[0].tar.misses.value > 0.5
    assert parrot.equal_error.value < 0.2
    assert at_once.verified == ()
    assert at_once.equal_error.tries == EVALUATED**2
    page = report(usual)
    assert page.count('class="bar"') == len(usual.attacks)
    assert "Whoever comes by the bundle" in page
    assert "<img" not in page  # nobody is shown who was not asked for


def test_faces_that_no_detector_finds_are_counted_both_ways_and_pictures_are_stamped():
    looked_at = []

    def detects(picture: np.ndarray, landmarks: np.ndarray) -> bool:
        looked_at.append((picture.shape, landmarks.shape))
        return len(looked_at) % 2 == 0

    settings, rng = AuditSettings(("naive",), student=None), np.random.default_rng(0)
    result = audit(
        crowd(0.8), [Small()], ProtectSettings(), PLACED, rng, settings, detects=detects, pictures=True
    )
    assert set(looked_at) == {((64, 64, 3), (5, 2))}
    for attack in result.attacks:
        found = attack.detected
        assert found is not None
        assert found.undetected == EVALUATED * EACH // 4
        assert found.misses.value <= attack.named.rank1.misses.value
        assert found.left_out is not None
        assert found.left_out.tries == EVALUATED * EACH // 4
    assert {name: shown.shape for name, shown in result.pictures.items()} == {
        "as it was uploaded": (EVALUATED, 64, 64, 3),
        "as a drawing": (EVALUATED, 64, 64, 3),
    }
    page = report(result)
    assert page.count("<img") == 2
    assert "50 % (" in page
    assert "pictures" not in result.as_dict()


def test_noise_that_drowns_everything_leaves_chance():
    """The same people, protected by noise alone: the control, on clear pictures, passes as before."""
    result = found(noise=1.0, blur=8.0)
    assert result.attacks[2].named.rank1.misses.low <= result.chance[1]
    assert "within what guessing gives" in report(result)


def test_pictures_that_tell_nothing_of_the_person_prove_nothing():
    with pytest.raises(SansfaceError, match="can prove nothing"):
        found(own=0.0)


def test_the_same_seed_gives_the_same_audit(usual):
    assert found().as_dict() == usual.as_dict()


def test_every_attacker_has_its_rows_and_what_was_found_out_is_used_again(tmp_path, monkeypatch):
    folder, taught = tmp_path / "mine", pupil(tmp_path, channels=16, embedding=32)
    whole = {
        "attackers": ATTACKERS,
        "trained": folder,
        "student": DistillationSettings(steps=4, batch=8),
        "recognisers": [taught],
    }
    result = found(**whole)
    assert [attack.attacker for attack in result.attacks] == [
        *["naive"] * 4, *["outlines"] * 2, *["parrot"] * 5, *["reverse"] * 4, *["search"] * 2
    ]  # fmt: skip
    with_what = [attack.with_what for attack in result.attacks if attack.attacker == "parrot"]
    assert with_what[0] == "linear models, layers of pupil, a student"
    assert with_what[1].startswith("the same, all pictures")
    assert with_what[3:] == [
        "a student of pupil, clear gallery",
        "a student of pupil, the gallery protected",
    ]
    written = {path.name: path.read_bytes() for path in folder.iterdir()}
    kinds = {name.partition("-")[0] for name in written}
    assert kinds == {"embeddings", "student", "inversion", *ATTACKERS}

    def again(*of: object) -> None:
        raise AssertionError("made anew")

    with monkeypatch.context() as patched:
        patched.setattr(Small, "embed", again)
        patched.setattr(taught, "embed", again)
        patched.setattr("sansface.audit.attempts.train", again)
        patched.setattr("sansface.audit.attempts.distil", again)
        assert found(**whole).as_dict() == result.as_dict()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == written
    # Another protection is attacked anew, by the same people's embeddings.
    assert found(attackers=("reverse",), trained=folder, blur=1.0).as_dict() != result.as_dict()
    new = {path.name.partition("-")[0] for path in folder.iterdir() if path.name not in written}
    assert new == {"inversion", "reverse"}


def test_what_one_attacker_says_does_not_depend_on_the_others(usual):
    alone, among = found(attackers=("parrot",)).as_dict()["attacks"], usual.as_dict()["attacks"][2:]
    for one, other in zip(alone, among, strict=True):
        assert one["with_what"] == other["with_what"]
        assert one["named"]["rank1"]["misses"]["value"] == other["named"]["rank1"]["misses"]["value"]


def test_what_one_recogniser_says_is_not_taken_for_another_s_of_the_same_weights(tmp_path, monkeypatch):
    """Of one name as well: they differ in what values they make of a face."""
    shown = []
    monkeypatch.setattr(Small, "embed", lambda self, faces: shown.append(self.input) or faces[:, :4, 0, 0])
    others, kept = (Small(), Small()), Kept(tmp_path)
    others[1].input = "(byte - 0.0) / 1.0, planes"
    faces = crowd(0.8).crops[CLEAR][:2]
    for one in (*others, *others):
        _embedded(one, faces, kept)
    assert shown == [one.input for one in others]


def test_the_page_says_that_a_third_s_rate_is_a_mean_over_people(usual):
    thirds = [Third(name, 5, 0.0, 1.0, Rate(0.5, 0.2, 0.8, 5)) for name in ("darkest", "middle", "lightest")]
    assert "mean over people" not in report(usual)
    assert "rank-1, %, mean over people" in report(replace(usual, skin=thirds))


def test_the_page_says_that_no_student_was_taught(usual):
    taught = replace(usual.attacks[2], with_what="linear models, a student")
    assert "No student was taught" in report(usual)
    assert "No student was taught" not in report(replace(usual, attacks=[*usual.attacks, taught]))
    assert "No student was taught" not in report(replace(usual, attacks=usual.attacks[:2]))


@pytest.mark.parametrize("own", [True, False])
def test_outlines_tell_who_it_is_if_they_are_the_persons_own(own):
    people = crowd(0.8)
    if not own:
        mixed = np.random.default_rng(0).permutation(len(people.labels))
        people = replace(people, outlines={PLACED: people.outlines[PLACED][mixed]})
    protection = ProtectSettings(share=Share.OUTLINE)
    settings = AuditSettings(applicable(("naive",), protection))
    rng = np.random.default_rng(0)
    result = audit(people, [Small()], protection, PLACED, rng, settings, pictures=True)
    assert [attack.attacker for attack in result.attacks] == ["outlines", "outlines"]
    assert set(result.pictures) == {"as it was uploaded"}  # and no σ, which stayed at home
    assert set(np.unique(result.pictures["as it was uploaded"])) <= {0.0, 1.0}
    alone = result.attacks[0].named.rank1.misses.value
    assert (alone > 0.6) if own else (alone < result.chance[1] + 0.1)
    assert "outlines alone" in report(result)


def test_outlines_that_nobody_has_are_not_attacked():
    people = replace(crowd(0.8), outlines={})
    settings = AuditSettings(("outlines",))
    with pytest.raises(SansfaceError, match="no outlines to attack"):
        audit(people, [Small()], ProtectSettings(), PLACED, np.random.default_rng(0), settings)


def test_where_only_cameras_are_shared_there_is_nothing_to_attack():
    of_bundle = protection_of(ball_bundle(share=Share.CAMERA))
    with pytest.raises(SansfaceError, match="nothing is in the bundle but its camera"):
        applicable(("naive",), of_bundle)
    outlines = protection_of(ball_bundle(share=Share.OUTLINE))
    assert applicable(("naive", "parrot"), outlines) == ("outlines",)
    assert applicable(("naive", "parrot"), ProtectSettings()) == ("naive", "parrot")


def test_under_noise_the_gallery_is_protected_several_times():
    """A parrot with a gallery of several draws names more than one with a single draw."""
    shares = []
    for draws in (1, DRAWS):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr("sansface.audit.run.DRAWS", draws)
            result = found(0.8, attackers=("parrot",), noise=0.1)
        shares.append(result.attacks[0].named.rank1.misses.value)
    assert shares[1] >= shares[0] > 1 / EVALUATED


def test_two_recognisers_of_one_name_are_refused():
    with pytest.raises(SansfaceError, match="have one name"):
        audit(crowd(0.8), [Small(), Small()], ProtectSettings(), PLACED, np.random.default_rng(0))


def test_an_unknown_attacker_is_refused():
    with pytest.raises(SansfaceError, match="some of naive, outlines, parrot"):
        AuditSettings(("naive", "parot"))
    with pytest.raises(SansfaceError, match="unlike none"):
        AuditSettings(())


def test_the_twin_of_a_protection_is_the_client_s():
    """Without noise and gain the attacker's examples are a bundle's; with them they scatter alike."""
    clear = crowd(0.8).crops[PLACED][:6]
    pictures = torch.from_numpy(clear.transpose(0, 3, 1, 2).copy())
    for operator, bits in (("sobel", 8), ("log", 5)):
        settings = ProtectSettings(operator=operator, bits=bits)
        ours = protecting(settings)(pictures, torch.Generator().manual_seed(0)).numpy()
        theirs = protected(clear, settings, np.random.default_rng(0))
        assert np.quantile(np.abs(ours - theirs), 0.999) < 1e-5  # but where rounding tips a code
    settings = ProtectSettings(noise=0.05, gain=0.5, bits=16)
    ours = protecting(settings)(pictures.repeat(20, 1, 1, 1), torch.Generator().manual_seed(0)).numpy()
    theirs = protected(clear.repeat(20, axis=0), settings, np.random.default_rng(0))
    assert ours.mean() == pytest.approx(theirs.mean(), rel=0.05)
    assert ours.std() == pytest.approx(theirs.std(), rel=0.05)


def test_a_bundle_says_how_its_pictures_were_made():
    bundle = ball_bundle(resolution=48, operator="log", blur=1.5, bits=6, noise=0.01, gain=0.5)
    told = protection_of(bundle)
    assert (told.resolution, told.operator, told.blur, told.bits, told.noise) == (48, "log", 1.5, 6, 0.01)
    assert told.gain < 1
    assert protection_of(ball_bundle()).gain == 1


def test_a_face_must_fit_the_picture():
    assert placing(ProtectSettings(resolution=128)).eyes == pytest.approx(22)
    with pytest.raises(SansfaceError, match="do not fit"):
        placing(ProtectSettings(), 40.0)


@pytest.fixture
def people(tmp_path: Path, shared_assets: Path) -> Path:
    """Some of the shared photographs, a folder a person: three with ten, forty with one."""
    lfw = shared_assets / "photos" / "lfw"
    if not (lfw / "labels.json").is_file():
        pytest.skip("no photographs of LFW")
    folder = tmp_path / "people"
    counted = {"many": 0, "one": 0}
    for person in sorted((lfw / "img").iterdir()):
        pictures = sorted(person.iterdir())
        kind = "many" if len(pictures) >= 10 else "one"
        if counted[kind] == {"many": 3, "one": 40}[kind]:
            continue
        counted[kind] += 1
        (folder / str(sum(counted.values()))).mkdir(parents=True)
        for picture in pictures[:10]:
            shutil.copy(picture, folder / str(sum(counted.values())))
    return folder


def test_the_command_audits_a_bundle(tmp_path, people, capsys):
    from sansface.protect.bundle import write_bundle

    write_bundle(ball_bundle(resolution=48), tmp_path / "head.sfb")
    words = ["audit", str(tmp_path / "head.sfb"), "--people", str(people), "-o", str(tmp_path / "out")]
    words += ["--recogniser", "mobilefacenet", "--attackers", "naive", "parrot"]
    words += ["--student", "0", "--trained", str(tmp_path / "mine")]
    assert main(words) == 0
    said = capsys.readouterr()
    assert "names the right person of 3 in" in said.out
    told = json.loads((tmp_path / "out" / "audit.json").read_text())
    assert told["controls"]["mobilefacenet"]["verification"][0]["tar"]["misses"]["value"] > 0.9
    assert told["protection"]["resolution"] == 48
    names = {path.name for path in people.iterdir()}
    assert all(str(people) not in text for text in (said.out, json.dumps(told)))
    assert len(names) == 43
    kept = {path.name.partition("-")[0] for path in (tmp_path / "mine").iterdir()}
    assert kept == {"faces", "embeddings", "naive", "parrot"}
    assert main([*words, "--overwrite", "--fail-above", "0.01"]) == 3
    assert main(words) == 1
    assert "already holds files" in capsys.readouterr().err


def test_a_bundle_of_cameras_alone_passes_in_ci(tmp_path, capsys):
    from sansface.protect.bundle import write_bundle

    write_bundle(ball_bundle(share=Share.CAMERA), tmp_path / "head.sfb")
    words = ["audit", str(tmp_path / "head.sfb"), "--people", str(tmp_path), "-o", str(tmp_path / "out")]
    assert main([*words, "--recogniser", "gradients", "--fail-above", "0"]) == 0
    assert "no picture of a face to attack" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_nobody_with_two_photographs_is_said_before_any_attack(tmp_path, people, capsys):
    from sansface.protect.bundle import write_bundle

    write_bundle(ball_bundle(resolution=48), tmp_path / "head.sfb")
    for person in people.iterdir():
        for picture in sorted(person.iterdir())[1:]:
            picture.unlink()
    words = ["audit", str(tmp_path / "head.sfb"), "--people", str(people), "-o", str(tmp_path / "out")]
    assert main([*words, "--recogniser", "mobilefacenet"]) == 1
    assert "one photograph a person" in capsys.readouterr().err
    assert not (tmp_path / "out" / "audit.json").exists()
