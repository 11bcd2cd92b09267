"""Changes of jobs, as they are told: by one poller to however many listen."""

import asyncio
import json
import threading
import time
from collections import Counter
from dataclasses import replace

import anyio
import httpx
import pytest
from sqlalchemy import delete, event, update

from sansface.serve.events import Watcher
from sansface.serve.limits import Limits
from sansface.serve.problems import Problem
from sansface.serve.queue import fail, heartbeat, take
from sansface.serve.tables import Token
from served import EASY, a_bundle, running, until


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


class Listener:
    """Follows a job in a thread; `told` has (event, data)."""

    def __init__(self, person, job: str) -> None:
        self.told: list[tuple[str, dict]] = []
        self.status = 0
        self._person, self._job = person, job
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        with self._person.client.stream("GET", f"/jobs/{self._job}/events") as stream:
            self.status = stream.status_code
            name = ""
            for line in stream.iter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: "):
                    self.told.append((name, json.loads(line.removeprefix("data: "))))

    @property
    def states(self) -> list[str]:
        return [data["state"] for name, data in self.told if name == "job"]

    @property
    def last(self) -> str:
        return self.told[-1][0] if self.told else ""

    def has_ended(self) -> bool:
        return not self._thread.is_alive()


def a_job(person, seed: int = 0) -> str:
    bundle = person.client.post("/bundles", content=a_bundle()).json()["id"]
    return person.client.post("/jobs", json={"bundle": bundle, "seed": seed}).json()["id"]


def test_a_job_from_its_place_in_the_queue_to_its_end(tmp_path):
    with running(tmp_path) as site:
        person = site.person()
        first, second = a_job(person), a_job(person, 1)
        listener = Listener(site.person(of=person), second)
        until(lambda: listener.told)
        assert listener.told[0][1] == person.client.get(f"/jobs/{second}").json()
        assert listener.told[0][1]["position"] == 1
        lease = take(site.service.engine, "test", 60)
        assert lease.job_id == first
        until(lambda: listener.told[-1][1]["position"] == 0)
        lease = take(site.service.engine, "test", 60)
        heartbeat(site.service.engine, lease, 60, {"done": 0.5, "note": "stage 2", "seconds_left": 7.0})
        until(lambda: listener.told[-1][1]["progress"])
        assert listener.told[-1][1]["progress"] == {"done": 0.5, "note": "stage 2", "seconds_left": 7.0}
        fail(site.service.engine, lease, "It cannot be done.", final=True)
        until(listener.has_ended)
        assert listener.states[0] == "queued"
        assert listener.states[-1] == "dead"
        assert listener.told[-1][1]["sentence"] == "It cannot be done."
        late = Listener(site.person(of=person), second)
        until(late.has_ended)
        assert late.states == ["dead"]


def test_a_job_that_is_deleted_while_it_is_watched(site):
    person = site.person()
    job = a_job(person)
    listener = Listener(site.person(of=person), job)
    until(lambda: listener.told)
    assert person.client.delete(f"/jobs/{job}").status_code == 204
    until(listener.has_ended)
    assert listener.last == "gone"


@pytest.mark.parametrize("how", ["expires", "is signed out"])
def test_a_token_that_ends_in_the_middle_of_a_job(site, how):
    person = site.person()
    job = a_job(person)
    listener = Listener(site.person(of=person), job)
    until(lambda: listener.told)
    newest = site.client(person.token).get("/tokens").json()[0]["id"]
    with site.service.writing() as session:
        if how == "expires":
            session.execute(update(Token).where(Token.id == newest).values(expires=0.0))
        else:
            session.execute(delete(Token).where(Token.id == newest))
    until(listener.has_ended)
    assert listener.last == "expired"
    again = Listener(site.person(of=person), job)  # signed in again, it goes on
    until(lambda: again.told)
    assert person.client.post(f"/jobs/{job}/cancel").status_code == 200
    until(again.has_ended)
    assert again.states[-1] == "cancelled"


def test_many_listeners_cost_one_look(site):
    people = [site.person() for _ in range(5)]
    jobs = [a_job(person) for person in people]
    listeners = [
        Listener(site.person(of=person), job)
        for person, job in zip(people, jobs, strict=True)
        for _ in range(10)
    ]
    until(lambda: all(listener.told for listener in listeners))
    statements = []

    def count(connection, cursor, statement, *_):
        statements.append(statement)

    event.listen(site.service.engine, "before_cursor_execute", count)
    time.sleep(2.2)
    event.remove(site.service.engine, "before_cursor_execute", count)
    looks = sum("FROM jobs" in statement and "WHERE jobs.id IN" in statement for statement in statements)
    assert 1 <= looks <= 5
    assert len(site.service.watcher) == 50
    for person, job in zip(people, jobs, strict=True):
        person.client.post(f"/jobs/{job}/cancel")
    until(lambda: all(listener.has_ended() for listener in listeners))
    assert all(listener.states == ["queued", "cancelled"] for listener in listeners)
    until(lambda: len(site.service.watcher) == 0)


def test_whoever_leaves_is_forgotten(site):
    person = site.person()
    job = a_job(person)
    with site.person(of=person).client.stream("GET", f"/jobs/{job}/events") as stream:
        assert stream.headers["content-type"] == "text/event-stream; charset=utf-8"
        lines = stream.iter_lines()  # kept, for an iterator that is dropped ends the connection
        next(lines)
        assert len(site.service.watcher) == 1
    until(lambda: len(site.service.watcher) == 0)


def test_a_quiet_stream_is_kept_open_by_comments(site, monkeypatch):
    monkeypatch.setattr(site.service.watcher, "_quiet", 0.1)
    person = site.person()
    job = a_job(person)
    with site.person(of=person).client.stream("GET", f"/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        until(lambda: next(lines).startswith(":"))


def test_streams_are_limited(site):
    person = site.person()
    job = a_job(person)
    listeners = [Listener(site.person(of=person), job) for _ in range(EASY.account_streams)]
    until(lambda: all(listener.told for listener in listeners))
    assert person.client.get(f"/jobs/{job}/events").status_code == 429
    person.client.post(f"/jobs/{job}/cancel")
    until(lambda: all(listener.has_ended() for listener in listeners))


def test_streams_that_are_opened_at_once_are_limited(tmp_path):
    with running(tmp_path, replace(EASY, account_streams=4, streams=6)) as site:
        people = [site.person() for _ in range(3)]
        jobs = [a_job(person) for person in people]

        async def opened(client, person, job):
            way = f"{site.url}/api/v1/jobs/{job}/events"
            async with client.stream("GET", way, headers={"Authorization": f"Bearer {person.token}"}) as told:
                if told.status_code == 200:
                    await anyio.sleep(1)
                return person.id, told.status_code

        async def at_once():
            async with httpx.AsyncClient(limits=httpx.Limits(), timeout=120, verify=False) as client:
                pairs = zip(people, jobs, strict=True)
                every = [opened(client, person, job) for person, job in pairs for _ in range(20)]
                return await asyncio.gather(*every)

        answers = asyncio.run(at_once())
        assert {status for _, status in answers} == {200, 429}
        counts = Counter(who for who, status in answers if status == 200)
        assert max(counts.values()) <= 4
        assert counts.total() == 6
        until(lambda: len(site.service.watcher) == 0)


def test_a_stream_counts_before_anybody_listens_and_until_they_leave():
    async def follow():
        watcher = Watcher(lambda jobs, tokens: ({}, tokens), Limits(account_streams=2, streams=3), 0.01)
        first, second = (watcher.open("a", "token", job) for job in ("1", "2"))
        other = watcher.open("b", "token", "3")
        for account in "ac":
            with pytest.raises(Problem):
                watcher.open(account, "token", "4")
        watcher.leave(first)
        third = watcher.open("c", "token", "4")
        assert [told async for told in watcher.told(third)] == ["event: gone\ndata: {}\n\n"]
        assert len(watcher) == 3
        for stream in (second, other, third):
            watcher.leave(stream)
        assert len(watcher) == 0
        await watcher.close()

    asyncio.run(follow())


def test_a_server_that_ends_ends_its_streams(tmp_path):
    begun = 0.0
    with running(tmp_path) as site:
        person = site.person()
        listener = Listener(site.person(of=person), a_job(person))
        until(lambda: listener.told)
        begun = time.monotonic()
        site.app.state.server.should_exit = True
        until(listener.has_ended)
    assert time.monotonic() - begun < 4
