"""A smaller run of benchmarks/mutated_bundles.py, and proof that its judge sees what it should."""

import pytest

from bundle_rules import decoded, violations
from mutated_bundles import RAW, REHASHED, check, repacked, sample_bundle
from sansface.protect.operators import operator


@pytest.mark.parametrize("bits", [5, 8, 16])
def test_mutated_bundles_are_refused_or_valid(bits):
    strong = {"sigma": operator("log"), "noise": 0.01, "gain": True, "size": 40} if bits == 5 else {}
    outcome, failures = check(sample_bundle(bits, **strong), 160, seed=bits)
    assert failures == []
    assert sum(outcome.values()) == 160
    assert sum(number for name, number in outcome.items() if name.endswith("accepted")) > 5
    assert sum(number for name, number in outcome.items() if name.endswith("refused")) > 100
    kinds = {mutate.__name__ for mutate in [*RAW, *REHASHED]}
    assert len({name.split()[2] for name in outcome}) > 0.8 * len(kinds)


def test_the_judge_finds_every_kind_of_fault():
    truth = decoded(sample_bundle())

    def broken(change):
        fresh = decoded(sample_bundle())
        arrays = {name: array.tobytes() for name, array in truth["arrays"].items()}
        change(fresh["manifest"], arrays)
        return " ".join(violations(repacked(fresh["manifest"], arrays)))

    assert broken(lambda m, a: None) == ""
    assert "outline" in broken(lambda m, a: a.update({"frames/002.image": b"\1" * 576}))
    assert "outside its mask" in broken(lambda m, a: a.update({"frames/000.image": b"\1" * 1728}))
    assert "scale" in broken(lambda m, a: m.update(scale=0.3))
    assert "codes above its bits" in broken(lambda m, a: m.update(bits=4))
    assert "outline" in broken(lambda m, a: m["operator"].update(blur=2.0))  # it sees farther
    assert "keys" in broken(lambda m, a: m.update(noise=0.01))
    assert "schema" in broken(lambda m, a: m.update(schema=2, noise=0.0, gain=False))
    assert "unknown" in broken(lambda m, a: a.update(hidden=b"x"))
    assert "inside the sphere" in broken(
        lambda m, a: m["frames"][2]["camera"]["cam_from_world"][2].__setitem__(3, 0.5)
    )
    assert "bytes between" in " ".join(violations(b"x" * 9 + sample_bundle()))
