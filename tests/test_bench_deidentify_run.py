"""The tables from end to end on people who are patterns: each row once, and each table what was measured."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import patterns
from sansface.audit import skin_tone
from sansface.audit.skin_tone import typology_angle
from sansface.bench.deidentify import run, tables
from sansface.bench.deidentify.run import Asked, Bench, table
from sansface.deidentify.methods import KEYED, KINDS, Chosen, KeyedKind, Kind
from sansface.errors import SansfaceError
from sansface.recognise.align import TEMPLATE, Placing


def fading(strength: float):
    """Somebody new, mixed with the photograph: the more the stronger."""

    def mixed(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        other = patterns.another(photograph, rng).astype(float)
        return (photograph + min(strength, 1) * (other - photograph)).astype(np.uint8)

    return mixed


def grey(strength: float):
    """From 1 on nothing of the photograph."""

    def painted(photograph: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        return photograph if strength < 1 else np.full_like(photograph, 128)

    return painted


OURS = {
    "fading": Kind(fading, 0.9, (0.2, 0.9), "share", random=True),
    "fading without care": Kind(lambda strength: patterns.black, 0.9, (0.9,), "share"),
    "grey": Kind(grey, 1.0, (0.5, 1.5), "share"),
}


@pytest.fixture(scope="module")
def by():
    return patterns.instruments(24)


@pytest.fixture
def measured() -> list[str]:
    return []


@pytest.fixture
def bench(by, measured: list[str], tmp_path: Path, monkeypatch) -> Iterator[Bench]:
    known = dict(KINDS)
    KINDS.clear()
    KINDS.update(OURS)
    monkeypatch.setattr(run, "BASELINES", ("grey",))
    asked = Asked(tmp_path, tmp_path / "out", photographs=24, gallery=2, draws=2, runs=2)
    yield Bench(asked, by, measured.append)
    KINDS.clear()
    KINDS.update(known)


def test_a_sweep_goes_over_strengths_and_draws_and_no_row_twice(bench: Bench, measured: list[str]):
    text = table("sweep", [Chosen("fading", 0.9)], bench)
    assert measured == ["clear", "fading 0.2", "fading 0.9"]
    assert [line.split(" | ")[0] for line in text.splitlines()[6:]] == [f"| {one}" for one in measured]
    assert bench.row(Chosen("fading", 0.2), 2).pictures == 48
    assert (bench.asked.out / "sweep.png").stat().st_size > 1000
    table("sweep", [Chosen("fading", 0.9)], bench)
    assert len(measured) == 3
    bench.row(Chosen("fading", 0.9))  # a single draw is another row
    assert measured[3:] == ["fading 0.9"]
    weak, strong = (bench.row(Chosen("fading", strength), 2) for strength in (0.2, 0.9))
    assert weak.scored[0].distance < strong.scored[0].distance
    assert weak.ssim > strong.ssim


def test_what_was_measured_of_other_labels_or_recognisers_is_measured_again(bench, by, measured):
    bench.row(None)
    labels = by.cohort.people.labels.copy()
    labels[-2:] = labels[-1]  # of two strangers one person, and the same photographs
    people = replace(by.cohort.people, labels=labels)
    one = patterns.Eyes()
    one.input = "backwards"
    for other in (
        replace(by, cohort=replace(by.cohort, people=people)),
        replace(by, scorers=tuple(replace(scorer, recogniser=one) for scorer in by.scorers)),
        by,
    ):
        Bench(bench.asked, other, measured.append).row(None)
    assert measured == ["clear"] * 3


def test_an_ablation_leaves_each_part_out(bench: Bench, measured: list[str]):
    table("ablation", [Chosen("fading", 0.9)], bench)
    assert measured == ["clear", "fading 0.9", "fading without care 0.9"]
    with pytest.raises(SansfaceError, match="part that can be left out"):
        table("ablation", [Chosen("grey", 1.0)], bench)


def test_a_baseline_is_compared_on_the_photographs_that_the_method_hid(bench: Bench, monkeypatch):
    def choosy(strength: float):
        make = OURS["fading"].make(strength)

        def method(photograph, rng):
            if photograph[0, 0, 0] % 2:
                raise SansfaceError("not this one.")
            return make(photograph, rng)

        return method

    monkeypatch.setitem(KINDS, "choosy", replace(OURS["fading"], make=choosy))
    own = bench.row(Chosen("choosy", 0.9))
    assert 0 < own.refused < 24
    for found in bench.matched(Chosen("choosy", 0.9)).values():
        assert {one.row.pictures for one in found} == {own.pictures}


def test_a_baseline_is_compared_at_the_same_tar(bench: Bench):
    text = table("matched", [Chosen("fading", 0.9)], bench)
    assert "| fading 0.9 |" in text
    found = bench.matched(Chosen("fading", 0.9))["eyes"][0]
    assert found.reached
    assert found.baseline.strength == pytest.approx(1.0, abs=0.02)  # below 1 nothing is hidden
    assert f"| {found.baseline}, for fading 0.9 |" in text


def test_who_is_hidden_worse_for_the_tone_of_the_skin_is_said_to_be(bench: Bench, by, monkeypatch):
    with pytest.raises(SansfaceError, match="fewer than fifteen people"):
        bench.by_tone(Chosen("grey", 1.0))
    monkeypatch.setattr(skin_tone, "LEAST", 4)

    def unfair(strength: float):
        """Hides light skin only."""

        def method(photograph, rng):
            tone = typology_angle(Placing().cut(photograph, TEMPLATE)[None], Placing())[0]
            return patterns.another(photograph, rng) if tone > middle else photograph

        return method

    middle = np.nanmedian(typology_angle(by.cohort.people.crops[Placing()], Placing()))
    monkeypatch.setitem(KINDS, "unfair", replace(OURS["fading"], make=unfair))
    darkest, between, lightest = bench.by_tone(Chosen("unfair", 0.9)).values()
    assert darkest.pictures + between.pictures + lightest.pictures == 24
    assert darkest.scored[0].tar.value > 0.9
    assert lightest.scored[0].tar.value < 0.1
    fair = [row.scored[0].tar.value for row in bench.by_tone(Chosen("fading", 0.9)).values()]
    assert max(fair) < 0.2  # the control
    assert "| unfair 0.9 | darkest: 4 people," in table("tones", [Chosen("unfair", 0.9)], bench)


def test_attackers_are_kept_too(bench: Bench, measured: list[str]):
    text = table("attackers", [Chosen("fading", 0.9)], bench)
    for attacker in ("one run", "averager, picture", "searcher, likest", "searcher, parrot"):
        assert f"| fading 0.9 | {attacker} | eyes |" in text
    assert table("attackers", [Chosen("fading", 0.9)], bench) == text
    assert measured == ["averages of fading 0.9", "searches of fading 0.9"]


def test_keys_have_a_table_of_their_own(bench: Bench, measured: list[str], monkeypatch):
    with pytest.raises(SansfaceError, match="no method named is one of the table keyed"):
        table("keyed", [Chosen("grey", 1.0)], bench)
    with pytest.raises(SansfaceError, match="no method named is one of the table papers"):
        table("papers", [], bench, ["shuffle"])
    shuffle = KeyedKind(lambda: lambda photo, key: patterns.shuffled(photo, list(key)), "eyes")
    monkeypatch.setitem(KEYED, "shuffle", shuffle)
    text = table("keyed", [], bench, ["shuffle"])
    assert "| shuffle | eyes (tuned on it) |" in text
    assert table("keyed", [], bench, ["shuffle"]) == text
    assert measured == ["shuffle"]
    columns, lines = tables.keys({"shuffle": bench.keyed("shuffle")})
    assert len(lines) == 1
    assert len(lines[0]) == len(columns)
