"""Accounts, tokens and the commands that make them."""

import io
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from sansface.errors import SansfaceError
from sansface.serve import accounts, tokens
from sansface.serve.database import open_database
from sansface.serve.tables import Account, Event, Token
from served import PASSWORD, running


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


def sign_in(site, person, **more):
    words = {"name": person.name, "password": PASSWORD} | more
    return site.client().post("/tokens", json=words)


def test_a_password_gives_a_token_that_works_and_ends(site):
    person = site.person()
    answer = sign_in(site, person, seconds=60, scopes=["read"])
    assert answer.status_code == 201
    assert answer.json()["scopes"] == ["read"]
    assert 59 < answer.json()["expires"] - answer.json()["created"] < 61
    client = site.client(answer.json()["token"])
    assert client.get("/account").json()["name"] == person.name
    assert client.get("/tokens").status_code == 403
    assert client.delete(f"/tokens/{answer.json()['id']}").status_code == 204
    assert client.get("/account").status_code == 401


def test_wrong_names_and_passwords_are_told_alike(site):
    person = site.person()
    wrong = sign_in(site, person, password="wrong horse battery")
    nobody = sign_in(site, person, name="nobody")
    assert wrong.status_code == nobody.status_code == 401
    assert wrong.json() == nobody.json()
    assert set(wrong.headers) == set(nobody.headers)


def test_an_unknown_name_takes_as_long_as_a_wrong_password():
    account = Account(name="a", password=accounts.hashed(PASSWORD), disabled=False)

    def seconds(whose):
        begun = time.process_time()
        assert not accounts.matches(whose, "wrong horse battery")
        return time.process_time() - begun

    known, unknown = (min(seconds(whose) for _ in range(2)) for whose in (account, None))
    assert unknown > 0.5 * known > 0.005


def test_the_database_has_neither_passwords_nor_tokens(site):
    person = site.person()
    token = sign_in(site, person).json()["token"]
    raw = b"".join(path.read_bytes() for path in site.folder.glob("service.db*"))
    assert person.name.encode() in raw
    assert PASSWORD.encode() not in raw
    assert token.encode() not in raw
    with site.service.reading() as session:
        assert session.get_one(Account, person.id).password.startswith("$argon2id$")


@settings(deadline=None, max_examples=30)
@given(secret=st.text(max_size=70))
def test_what_is_no_token_is_nobody(site, secret):
    with site.service.reading() as session:
        assert tokens.caller(session, secret) is None


def test_a_disabled_account_can_do_nothing(site):
    person = site.person()
    with site.service.writing() as session:
        session.execute(update(Account).where(Account.id == person.id).values(disabled=True))
    assert person.client.get("/account").status_code == 401
    assert sign_in(site, person).status_code == 401


def test_changing_the_password_ends_all_other_tokens(site):
    person = site.person()
    other = site.person(of=person)
    change = {"old": PASSWORD, "new": "another horse battery"}
    assert person.client.post("/account/password", json=change | {"old": "wrong"}).status_code == 403
    short = person.client.post("/account/password", json=change | {"new": "too short"})
    assert short.status_code == 422
    assert "too short" not in short.text
    assert person.client.post("/account/password", json=change).status_code == 204
    assert other.client.get("/account").status_code == 401
    assert person.client.get("/account").status_code == 200
    assert sign_in(site, person).status_code == 401
    assert sign_in(site, person, password="another horse battery").status_code == 201


@pytest.fixture
def held(monkeypatch):
    """The next password is verified, and what follows waits for `go_on`; `verified` says that it is."""
    verified, go_on, matches = threading.Event(), threading.Event(), accounts.matches

    def slowly(account, password):
        right = matches(account, password)
        if not verified.is_set():
            verified.set()
            assert go_on.wait(120)
        return right

    monkeypatch.setattr(accounts, "matches", slowly)
    return verified, go_on


@pytest.mark.parametrize("what", ["changed", "disabled", "deleted"])
def test_a_sign_in_under_way_ends_with_the_old_password(tmp_path, database_url, held, what):
    verified, go_on = held
    with running(tmp_path, database=database_url) as site, ThreadPoolExecutor(1) as pool:
        person = site.person()
        signing = pool.submit(sign_in, site, person)
        assert verified.wait(120)
        if what == "changed":
            change = {"old": PASSWORD, "new": "another horse battery"}
            assert person.client.post("/account/password", json=change).status_code == 204
        elif what == "deleted":
            assert person.client.delete("/account").status_code == 204
        else:
            with site.service.writing() as session:
                session.execute(update(Account).where(Account.id == person.id).values(disabled=True))
        go_on.set()
        assert signing.result().status_code == 401
        assert signing.result().json() == sign_in(site, person, name="nobody").json()
        with site.service.reading() as session:
            line = session.scalars(
                select(Event).where(Event.action == "token.new", Event.account_id == person.id)
            ).one()
            tokens = session.scalars(select(Token).where(Token.account_id == person.id)).all()
        assert line.outcome == "refused"
        assert len(tokens) == (0 if what == "deleted" else 1)


def test_a_sign_in_waits_for_a_change_that_is_not_committed(tmp_path, database_url, held):
    verified, go_on = held
    with running(tmp_path, database=database_url) as site, ThreadPoolExecutor(1) as pool:
        person = site.person()
        signing = pool.submit(sign_in, site, person)
        assert verified.wait(120)
        with site.service.writing() as session:
            session.execute(update(Account).where(Account.id == person.id).values(password="another"))
            go_on.set()
            with pytest.raises(TimeoutError):
                signing.result(0.3)
        assert signing.result().status_code == 401


def test_of_two_changes_of_one_password_one_is_done(tmp_path, database_url, held):
    verified, go_on = held
    with running(tmp_path, database=database_url) as site, ThreadPoolExecutor(1) as pool:
        person = site.person()
        other = site.person(of=person)
        words = [{"old": PASSWORD, "new": f"horse battery {number}"} for number in range(2)]
        changing = pool.submit(other.client.post, "/account/password", json=words[0])
        assert verified.wait(120)
        assert person.client.post("/account/password", json=words[1]).status_code == 204
        go_on.set()
        assert changing.result().status_code == 403
        assert sign_in(site, person, password=words[0]["new"]).status_code == 401
        assert sign_in(site, person, password=words[1]["new"]).status_code == 201
        assert person.client.get("/account").status_code == 200


def test_deleting_the_account_deletes_everything(site):
    person = site.person()
    bundle, job, _ = site.finished_job(person)
    assert any(bundle in name for name in site.stored())
    assert person.client.delete("/account").status_code == 204
    assert person.client.get("/account").status_code == 401
    assert not any(bundle in name or job in name for name in site.stored())
    with site.service.reading() as session:
        assert session.get(Account, person.id) is None
        assert not session.scalars(select(Token).where(Token.account_id == person.id)).all()


def test_deleting_the_data_keeps_the_account(site):
    person = site.person()
    bundle, job, name = site.finished_job(person)
    assert person.client.get("/account").json()["bytes"] > 0
    assert person.client.delete("/account/data").status_code == 204
    assert person.client.get("/account").json()["bytes"] == 0
    assert person.client.get(f"/bundles/{bundle}").status_code == 404
    assert person.client.get(f"/jobs/{job}/files/{name}").status_code == 404
    assert not any(bundle in stored or job in stored for stored in site.stored())


def test_what_was_done_is_in_the_audit_log(site):
    person = site.person()
    sign_in(site, person)
    sign_in(site, person, password="wrong horse battery")
    with site.service.reading() as session:
        lines = session.scalars(select(Event).where(Event.account_id == person.id).order_by(Event.id)).all()
    assert [(line.action, line.outcome) for line in lines] == [
        ("token.new", "done"),
        ("token.new", "refused"),
    ]


# --- the command ---


@pytest.fixture
def account(say, tmp_path, monkeypatch):
    """Run `sansface account` with some words, and something to read on standard input."""
    monkeypatch.setenv("SANSFACE_STORE_KEY", "11" * 32)

    def run(*words, typed=""):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        return say("account", *words, "--data", tmp_path / "data")

    return run


def test_the_command_makes_lists_disables_and_removes(account, tmp_path):
    assert account("list")[1].startswith("There is no account")
    assert account("new", "one", "--password-stdin", typed=PASSWORD + "\n")[0] == 0
    assert account("new", "two", "--password-stdin", "--max-jobs", 3, typed=PASSWORD + "\n")[0] == 0
    assert account("disable", "two")[0] == 0
    assert account("list")[1].split() == ["one", "two", "disabled"]
    assert account("enable", "two")[0] == 0
    assert account("remove", "one")[0] == 0
    assert account("list")[1].split() == ["two"]
    engine = open_database(f"sqlite:///{tmp_path}/data/service.db")
    with engine.connect() as connection:
        row = connection.execute(select(Account.password, Account.max_jobs)).one()
    engine.dispose()
    assert row.max_jobs == 3
    assert PASSWORD not in row.password


def test_the_command_sets_passwords_and_quotas_and_reads_the_log(account, tmp_path):
    account("new", "one", "--password-stdin", "--max-jobs", 3, typed=PASSWORD + "\n")
    account("new", "two", "--password-stdin", typed=PASSWORD + "\n")
    engine = open_database(f"sqlite:///{tmp_path}/data/service.db")
    with Session(engine) as session, session.begin():
        for name in ("one", "two"):
            whose = accounts.existing(session, name).id
            session.add(Token(account_id=whose, secret=name, scopes="read", created=0, expires=1e12))
    said = account("password", "one", "--password-stdin", typed="another " + PASSWORD + "\n")
    assert said[:2] == (0, "The account one has another password.\n")
    assert account("quota", "two", "--max-bytes", 1000)[:2] == (0, "The account two has other limits.\n")
    with Session(engine) as session:
        one, two = (accounts.existing(session, name) for name in ("one", "two"))
        assert accounts.matches(one, "another " + PASSWORD)
        assert not accounts.matches(one, PASSWORD)
        assert accounts.matches(two, PASSWORD)
        assert (one.max_bytes, one.max_jobs, two.max_bytes, two.max_jobs) == (None, 3, 1000, None)
        assert [token.account_id for token in session.scalars(select(Token))] == [two.id]
    engine.dispose()
    lines = [line.split() for line in account("log")[1].splitlines()]
    assert [words[2] for words in lines] == [
        "account.new",
        "account.new",
        "account.password",
        "account.quota",
    ]
    assert [words[2] for words in map(str.split, account("log", "one")[1].splitlines())] == [
        "account.new",
        "account.password",
    ]
    assert lines[0][1] == lines[2][1] == one.id
    assert abs(datetime.fromisoformat(lines[0][0]).timestamp() - time.time()) < 60


@pytest.mark.parametrize(
    ("words", "typed", "said"),
    [
        (("new", "one", "--password-stdin"), "short\n", "12 to 1000 characters"),
        (("new", "a name", "--password-stdin"), PASSWORD, "no name of an account"),
        (("new",), "", "needs a name"),
        (("list", "one"), "", "needs no name"),
        (("remove", "nobody"), "", "no account 'nobody'"),
        (("password", "nobody", "--password-stdin"), PASSWORD, "no account 'nobody'"),
        (("log", "nobody"), "", "no account 'nobody'"),
        (("new", "one", "--max-bytes", -5), "", "are 0 or more"),
    ],
)
def test_the_command_says_what_is_wrong(account, words, typed, said):
    code, out, err = account(*words, typed=typed)
    assert code == 1
    assert out == ""
    assert said in err


def test_a_name_is_taken_once(account):
    assert account("new", "one", "--password-stdin", typed=PASSWORD)[0] == 0
    code, _, err = account("new", "one", "--password-stdin", typed=PASSWORD)
    assert code == 1
    assert "already" in err


def test_a_password_is_asked_for_twice(account, monkeypatch):
    typed = iter([PASSWORD, PASSWORD + "x"])
    monkeypatch.setattr("getpass.getpass", lambda _: next(typed))
    assert "differ" in account("new", "one")[2]


def test_passwords_have_a_least_and_a_most():
    with pytest.raises(SansfaceError, match="characters"):
        accounts.hashed("x" * 11)
    with pytest.raises(SansfaceError, match="characters"):
        accounts.hashed("x" * 1001)
