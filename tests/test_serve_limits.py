"""Rates, quotas, and what is answered while something beneath is down."""

from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import select

from sansface.errors import SansfaceError
from sansface.serve.limits import Buckets, Limits, Rate, network
from sansface.serve.tables import Account, Event
from served import EASY, PASSWORD, a_bundle, running


@given(
    st.floats(1, 50),
    st.floats(0.01, 100),
    st.lists(st.floats(0, 10), max_size=200),
)
def test_a_bucket_gives_no_more_than_it_has(burst, per_second, pauses):
    at = 0.0
    buckets, rate, taken = Buckets(clock=lambda: at), Rate(burst, per_second), 0
    for pause in pauses:
        at += pause
        seconds = buckets.wait("kind", "somebody", rate)
        taken += seconds == 0
        assert taken <= burst + at * per_second + 1e-6
        if seconds:  # whoever waits so long gets one
            at += seconds * (1 + 1e-9) + 1e-9
            assert buckets.wait("kind", "somebody", rate) == 0
            taken += 1


def test_buckets_are_apart_few_and_say_nothing():
    buckets, rate = Buckets(most=10, clock=lambda: 0.0), Rate(1, 1)
    assert [
        buckets.wait("a", "one", rate),
        buckets.wait("a", "two", rate),
        buckets.wait("b", "one", rate),
    ] == [0] * 3
    assert buckets.wait("a", "one", rate) > 0
    for number in range(100):
        buckets.wait("c", str(number), rate)
    assert len(buckets._levels) == 10
    assert all(len(key) == 32 for key in buckets._levels)
    assert not set(buckets._levels) & set(Buckets()._levels)


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("x", "unknown"),
    ],
)
def test_what_counts_as_one_client(address, expected):
    assert network(address) == expected


def test_an_account_asks_too_often(tmp_path):
    with running(tmp_path, replace(EASY, account=Rate(5, 0.2))) as site:
        person, other = site.person(), site.person()
        codes = [person.client.get("/account").status_code for _ in range(7)]
        assert codes == [200] * 5 + [429] * 2
        answer = person.client.get("/account")
        assert 1 <= int(answer.headers["retry-after"]) <= 6
        assert answer.json() == {"detail": "Too many requests; wait a moment."}
        assert other.client.get("/account").status_code == 200


def test_an_address_asks_too_often_whoever_it_is(tmp_path):
    with running(tmp_path, replace(EASY, address=Rate(5, 0.2))) as site:
        codes = [site.client().get("/account").status_code for _ in range(6)]
        assert codes == [401] * 5 + [429]
        from_elsewhere = site.client().get("/account", headers={"X-Forwarded-For": "192.0.2.1"})
        assert from_elsewhere.status_code == 401  # a proxy on this machine says for whom it asks


def test_passwords_are_tried_slowly(tmp_path):
    with running(tmp_path, replace(EASY, login_name=Rate(2, 0.01), login_address=Rate(4, 0.01))) as site:
        person = site.person()

        def tries(name, password):
            return site.client().post("/tokens", json={"name": name, "password": password}).status_code

        assert [tries(person.name, "wrong") for _ in range(2)] == [401, 401]
        assert tries(person.name, PASSWORD) == 429  # of one name, from everywhere
        assert [tries("nobody", "wrong"), tries("nobody", "wrong")] == [401, 429]  # of one address
        assert person.client.get("/account").status_code == 200


def test_the_day_s_jobs_are_limited(tmp_path):
    with running(tmp_path, replace(EASY, account_jobs=2)) as site:
        person = site.person()
        bundle = person.client.post("/bundles", content=a_bundle()).json()["id"]

        def ask(seed):
            return person.client.post("/jobs", json={"bundle": bundle, "seed": seed})

        first = ask(0)
        assert first.status_code == 201
        assert ask(0).status_code == 200  # the same job costs nothing
        assert person.client.delete(f"/jobs/{first.json()['id']}").status_code == 204
        assert ask(1).status_code == 201
        refused = ask(2)  # deleting one gives none back
        assert refused.status_code == 429
        assert "2 jobs" in refused.json()["detail"]
        assert [job["seed"] for job in person.client.get("/jobs").json()] == [1]
        account = person.client.get("/account").json()
        assert (account["jobs_today"], account["max_jobs"]) == (2, 2)


def test_a_full_account_begins_no_job(tmp_path, database_url):
    with running(tmp_path, database=database_url) as site:
        person = site.person()
        bundle, job, _ = site.finished_job(person)
        used = person.client.get("/account").json()["bytes"]
        assert used > len(a_bundle())  # its result counts

        def ask(seed):
            return person.client.post("/jobs", json={"bundle": bundle, "seed": seed})

        def may_use(count):
            with site.service.writing() as session:
                session.get_one(Account, person.id).max_bytes = count

        may_use(used)
        refused = ask(1)
        assert refused.status_code == 413
        assert "used up" in refused.json()["detail"]
        assert ask(0).status_code == 200  # what is there already takes no more
        assert [each["id"] for each in person.client.get("/jobs").json()] == [job]
        assert person.client.get("/account").json()["jobs_today"] == 0
        may_use(used + 1)
        cancelled = ask(2).json()["id"]
        assert person.client.post(f"/jobs/{cancelled}/cancel").status_code == 200
        may_use(used)
        assert ask(2).status_code == 413  # nor is it begun again
        assert person.client.delete(f"/jobs/{job}").status_code == 204
        assert ask(2).status_code == 201


def test_what_changes_nothing_fills_no_audit_log(tmp_path, database_url):
    with running(tmp_path, database=database_url) as site:
        person = site.person()
        bundle, finished, _ = site.finished_job(person)
        waiting = person.client.post("/jobs", json={"bundle": bundle, "seed": 1}).json()["id"]
        for job, state in ((finished, "done"), (waiting, "cancelled")):
            for _ in range(3):
                assert person.client.post(f"/jobs/{job}/cancel").json()["state"] == state
        for _ in range(3):
            assert person.client.delete("/account/data").status_code == 204
        with site.service.reading() as session:
            lines = session.execute(select(Event.action, Event.object_id).order_by(Event.id)).all()
        assert [tuple(line) for line in lines[-2:]] == [
            ("job.cancel", waiting),
            ("account.delete-data", person.id),
        ]
        assert sorted(action for action, _ in lines) == [
            "account.delete-data", "bundle.accept", "job.cancel", "job.submit",
        ]  # fmt: skip


@pytest.mark.parametrize("character", ["\0", "\x1f", "\x7f"])
def test_control_characters_reach_no_database(tmp_path, database_url, character):
    """PostgreSQL takes no NUL: it would be told as a database that is down."""
    with running(tmp_path, database=database_url) as site:
        person = site.person()
        _, job, _ = site.finished_job(person)
        name = f"a{character}b"
        for answer in (
            site.client().post("/tokens", json={"name": name, "password": PASSWORD}),
            person.client.get(f"/jobs/{job}/files/{quote(name)}"),
        ):
            assert answer.status_code == 422
            assert "name is not as it must be" in answer.json()["detail"]
        for other in ("ä b", "Ж\u00a0😀"):
            words = {"name": other, "password": PASSWORD}
            assert site.client().post("/tokens", json=words).status_code == 401
            assert person.client.get(f"/jobs/{job}/files/{quote(other)}").status_code == 404


def test_jobs_of_unknown_kinds_are_refused(tmp_path):
    with running(tmp_path) as site:
        person = site.person()
        bundle = person.client.post("/bundles", content=a_bundle()).json()["id"]
        for wrong in (
            {"preset": "no such"}, {"seed": -1}, {"seed": 2**32}, {"seed": "1"}, {"seed": 1.5}, {"more": 1},
        ):  # fmt: skip
            answer = person.client.post("/jobs", json={"bundle": bundle} | wrong)
            assert answer.status_code == 422
            assert answer.json()["detail"].endswith(".")
        assert person.client.get("/jobs").json() == []


def test_a_database_that_is_down_and_comes_back(tmp_path, postgres):
    with running(tmp_path, database=postgres.database()) as site:
        person = site.person()
        assert person.client.get("/account").status_code == 200
        assert person.client.get(f"{site.url}/health").json()["status"] == "ok"
        postgres.control("stop", "-m", "fast")
        try:
            for answer in (
                person.client.get("/account"),
                person.client.post("/bundles", content=a_bundle()),
                site.client().post("/tokens", json={"name": person.name, "password": PASSWORD}),
            ):
                assert answer.status_code == 503
                assert answer.json() == {"detail": "The database does not answer; try again later."}
                assert answer.headers["retry-after"]
            health = person.client.get(f"{site.url}/health")
            assert health.status_code == 503
            assert health.json() == {"status": "trouble", "database": "down", "store": "ok", "queue": None}
            assert person.client.get(f"{site.url}/metrics").status_code == 503
        finally:
            postgres.control("start")
        assert person.client.get("/account").status_code == 200
        assert person.client.post("/bundles", content=a_bundle()).status_code == 201
        assert person.client.get(f"{site.url}/health").status_code == 200


def test_a_store_that_is_down(tmp_path):
    with running(tmp_path) as site:
        person = site.person()
        _, job, name = site.finished_job(person)
        store = tmp_path / "store"
        store.rename(tmp_path / "away")
        store.write_bytes(b"")
        assert person.client.get(f"{site.url}/health").json()["store"] == "down"
        assert person.client.get(f"/jobs/{job}/files/{name}").status_code in (404, 503)
        answer = person.client.post("/bundles", content=a_bundle(1))
        assert answer.status_code == 503
        assert str(tmp_path) not in answer.text
        store.unlink()
        (tmp_path / "away").rename(store)
        assert person.client.get(f"/jobs/{job}/files/{name}").status_code == 200


@pytest.mark.parametrize("wrong", [{"doors": 0}, {"account_jobs": -1}, {"body_stall": float("nan")}])
def test_limits_that_make_no_sense_are_refused(wrong):
    with pytest.raises(SansfaceError, match=next(iter(wrong))):
        Limits(**wrong)
    Limits(account_jobs=0)
