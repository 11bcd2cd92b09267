"""The frontier: its lines say what was measured, and nothing is measured twice."""

import json
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from sansface.audit.kept import Kept
from sansface.bench import privacy
from sansface.cli import main
from sansface.errors import SansfaceError
from sansface.protect.pipeline import ProtectSettings
from sansface.recognise.gradients import Gradients

LEAKS = [
    privacy.Leak("standard", 0, "parrot", 0.8, 0.7, 0.9, 1.0, 0.02, (0.9, 0.8, 0.7)),
    privacy.Leak("strict", 0, "outlines", 0.1, 0.05, 0.2, 0.4, 0.02),
    privacy.Leak("paranoid", 0, None, None, None, None, None, None),
]
SCORES = {"standard": {"ball": [1e-3, 2e-3]}, "strict": {"ball": [3e-3]}, "paranoid": {"ball": [6e-3]}}


def test_a_line_says_what_is_read_and_what_it_costs():
    lines = privacy.table(LEAKS, SCORES).splitlines()
    assert lines[0].split(" | ")[-1] == "ball |"
    assert lines[2] == "| `standard` | 80.0 [70.0, 90.0] | 100.0 | 40.0 | 90 / 80 / 70 | 1.50 (× 1.00) |"
    assert lines[3] == "| `strict` | 10.0 [5.0, 20.0] | 40.0 | 5.0 | – | 3.00 (× 2.00) |"
    assert lines[4] == "| `paranoid` | nothing is shared | – | – | – | 6.00 (× 4.00) |"


def test_several_seeds_give_their_mean():
    more = [*LEAKS[:1], privacy.Leak("standard", 1, "parrot", 0.6, 0.5, 0.7, 0.8, 0.02, (0.5, 0.6, 0.7))]
    assert "| `standard` | 70.0 | 90.0 | 35.0 | 70 / 70 / 70 |" in privacy.table(more, {})


def test_attackers_of_single_pictures_alone_leave_a_dash():
    alone = privacy.Leak("standard", 0, "naive", 0.05, 0.02, 0.09, None, 0.02)
    line = privacy.table([alone], {}).splitlines()[2]
    assert "| 5.0 [2.0, 9.0] | – | 2.5 |" in line


def test_several_attackers_have_a_column_and_a_mark_each(tmp_path):
    named = ({"parrot": 0.8, "reverse": 0.3}, {"outlines": 0.1})
    both = [replace(leak, each=each) for leak, each in zip(LEAKS, (*named, {}), strict=True)]
    lines = privacy.table(both, {}).splitlines()
    assert lines[0].endswith("| by skin, % | outlines, % | parrot, % | reverse, % |")
    assert lines[2].endswith("| 90 / 80 / 70 | – | 80.0 | 30.0 |")
    assert lines[3].endswith("| – | 10.0 | – | – |")
    assert lines[4].endswith("| nothing is shared | – | – | – | – | – | – |")
    alone = [replace(LEAKS[0], each={"parrot": 0.8})]
    assert privacy.table(alone, {}) == privacy.table(LEAKS[:1], {})
    assert privacy.figure(alone, SCORES) == privacy.figure(LEAKS[:1], SCORES)
    assert privacy.figure(both, SCORES) != privacy.figure(LEAKS, SCORES)


def test_the_figure_has_a_place_for_each_way(tmp_path):
    text = privacy.write(LEAKS, SCORES, tmp_path)
    assert (tmp_path / "frontier.md").read_text(encoding="utf-8") == text
    said = json.loads((tmp_path / "frontier.json").read_text(encoding="utf-8"))
    assert [leak["way"] for leak in said["leaks"]] == ["standard", "strict", "paranoid"]
    picture = cv2.imread(str(tmp_path / "frontier.png"))
    red = (picture[:, :, 2] > 180) & (picture[:, :, 0] < 90) & (picture[:, :, 1] < 90)
    assert cv2.connectedComponents(red.astype(np.uint8))[0] - 1 == 3
    one = privacy.figure(LEAKS[:1], SCORES)
    assert one != (tmp_path / "frontier.png").read_bytes()


def test_where_nothing_is_shared_nobody_is_asked_for_and_what_is_known_is_read(tmp_path, monkeypatch):
    """Of the same people by the same attackers: of others it is measured anew."""
    people, asked = tmp_path / "people", []

    def of(way: str, attackers: tuple[str, ...] = ("parrot",)) -> list[privacy.Leak]:
        quiet = torch.device("cpu"), lambda done, note: None
        return privacy.leaks(people, [], [way], attackers, [0], tmp_path / "out", Kept(None), *quiet)

    assert of("paranoid") == [LEAKS[2]]
    with pytest.raises(SansfaceError, match="no folder"):
        of("standard")
    monkeypatch.setattr(privacy, "_people", lambda *words: asked.append(words))
    monkeypatch.setattr(privacy, "audit", lambda *words, **more: None)
    monkeypatch.setattr(privacy, "_leak", lambda *words: LEAKS[0])
    assert of("standard") == of("standard") == LEAKS[:1]
    assert len(asked) == 1
    of("standard", ("naive", "parrot"))
    assert len(asked) == 2
    (people / "Ada").mkdir(parents=True)
    (people / "Ada" / "1.png").touch()
    of("standard")
    assert len(asked) == 3
    (people / "Ada" / "1.png").write_bytes(b"another photograph")
    of("standard")
    assert len(asked) == 4
    for person in ("Ada", "Eve"):
        (people / "labels.json").write_text(f'{{"labels": {{"Ada/1.png": "{person}"}}}}')
        of("standard")
    assert len(asked) == 6
    of("standard")
    assert len(asked) == 6


def test_what_was_measured_by_other_recognisers_is_measured_again(tmp_path, monkeypatch):
    """Also by one of the same weights that makes other values of a face."""
    measured, ours, theirs = [], Gradients(), Gradients()
    theirs.input = "backwards"
    monkeypatch.setattr(privacy, "_people", lambda *words: None)
    monkeypatch.setattr(privacy, "audit", lambda people, recognisers, *words, **more: recognisers)
    monkeypatch.setattr(privacy, "_leak", lambda way, seed, found: measured.append(found) or LEAKS[0])
    for recognisers in ([ours], [theirs], [ours, theirs], [ours]):
        quiet = torch.device("cpu"), lambda done, note: None
        words = ["standard"], ["naive"], [0], tmp_path / "out", Kept(None)
        privacy.leaks(tmp_path / "people", recognisers, *words, *quiet)
    assert measured == [[ours], [theirs], [ours, theirs]]


def test_every_way_can_be_protected():
    assert len({ProtectSettings(**way) for way in privacy.WAYS.values()}) == len(privacy.WAYS)


def test_a_way_that_is_none_is_refused(tmp_path: Path, capsys):
    command = ["bench", "privacy", "HEAD", "--people", "LFW", "--out", str(tmp_path / "out"), "--way", "more"]
    assert main(command) == 1
    assert "there is no way 'more' to protect" in capsys.readouterr().err
