"""Uploads: in pieces and in one go, resumed, refused; nothing of what is refused is on the disk."""

import errno
import hashlib
import os
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select

from mutated_bundles import RAW, sample_bundle
from sansface.errors import SansfaceError
from sansface.protect.bundle import MAX_BYTES, BundleError
from sansface.serve import intake
from sansface.serve.limits import Limits
from sansface.serve.problems import Problem
from sansface.serve.tables import Bundle, Event
from sansface.serve.uploads import Uploads
from served import EASY, a_bundle, running, until


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("site"), replace(EASY, body_stall=2.0)) as site:
        yield site


def begin(person, data: bytes):
    answer = person.client.post(
        "/uploads", json={"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    assert answer.status_code == 201, answer.text
    assert answer.json()["offset"] == 0
    return answer.json()["id"]


def send(person, upload: str, offset: int, piece: bytes):
    return person.client.patch(f"/uploads/{upload}", content=piece, headers={"Upload-Offset": str(offset)})


def files_of(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_in_pieces(site):
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    for offset in range(0, len(data), 5000):
        answer = send(person, upload, offset, data[offset : offset + 5000])
        assert answer.status_code == 200
        assert answer.json()["offset"] == min(offset + 5000, len(data))
    bundle = answer.json()["bundle"]
    assert bundle["digest"] == hashlib.sha256(data).hexdigest()
    assert bundle["about"]["sensitive"] == 5
    assert site.service.store.get(f"bundles/{bundle['id']}") == data
    assert person.client.get(f"/bundles/{bundle['id']}").json() == bundle
    assert person.client.get("/bundles").json() == [bundle]
    assert person.client.get(f"/uploads/{upload}").status_code == 404


@contextmanager
def cut_off(site, person, upload: str, data: bytes, after: int) -> Iterator[socket.socket]:
    """A request that says it brings all, and has brought so many bytes."""
    host, port = site.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as line:
        line.sendall(
            f"PATCH /api/v1/uploads/{upload} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.token}\r\n"
            f"Upload-Offset: 0\r\nContent-Length: {len(data)}\r\n\r\n".encode()
            + data[:after]
        )
        yield line


def test_a_closed_lid(site):
    """The connection breaks in the middle of a piece: what has come counts, and the rest may follow."""
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    with cut_off(site, person, upload, data, 7000):
        until(lambda: person.client.get(f"/uploads/{upload}").json()["offset"] == 7000)
    assert person.client.get(f"/uploads/{upload}").json() == {"offset": 7000, "size": len(data)}
    assert send(person, upload, 7000, data[7000:]).json()["bundle"]


def test_a_stalled_request_does_not_hold_the_upload(site):
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    with cut_off(site, person, upload, data, 100) as line:
        until(lambda: person.client.get(f"/uploads/{upload}").json()["offset"] == 100)
        assert send(person, upload, 100, data[100:]).json()["bundle"]
        begun = time.monotonic()
        assert b"408" in line.recv(1000).split(b"\r\n")[0]  # two seconds without a byte
        assert time.monotonic() - begun < 10


def test_a_wrong_offset(site):
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    assert send(person, upload, 0, data[:10]).status_code == 200
    for offset in (0, 9, 11, len(data)):
        answer = send(person, upload, offset, data[offset : offset + 10])
        assert answer.status_code == 409
        assert answer.json()["offset"] == 10


def test_two_tabs_send_the_same(site):
    """Ten at once, in pieces and whole: one row, one object, one id."""
    person, data = site.person(), a_bundle()

    def piecewise():
        answer = person.client.post(
            "/uploads", json={"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
        ).json()
        return answer["bundle"] or send(person, answer["id"], 0, data).json()["bundle"]["id"]

    def whole():
        answer = person.client.post("/bundles", content=data)
        assert answer.status_code in (200, 201)
        return answer.json()["id"]

    before = set(site.stored())
    with ThreadPoolExecutor(10) as pool:
        ids = {future.result() for future in [pool.submit(f) for f in (piecewise, whole) * 5]}
    assert len(ids) == 1
    assert set(site.stored()) - before == {f"bundles/{ids.pop()}"}
    with site.service.reading() as session:
        assert session.scalar(select(func.count()).where(Bundle.account_id == person.id)) == 1


def test_two_requests_of_one_upload_at_once(site):
    """However their pieces fall, what is accepted is what was declared, and no byte comes twice."""
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(person, upload, 0, data), range(8)))
    assert sorted({answer.status_code for answer in answers} - {404, 409}) == [200]
    assert sum(answer.status_code == 200 and bool(answer.json()["bundle"]) for answer in answers) == 1


def test_what_is_there_need_not_be_sent(site):
    person, data = site.person(), a_bundle()
    first = person.client.post("/bundles", content=data)
    assert first.status_code == 201
    assert person.client.post("/bundles", content=data).status_code == 200
    again = person.client.post(
        "/uploads", json={"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    assert again.status_code == 200
    assert again.json() == {"id": None, "offset": len(data), "bundle": first.json()["id"]}
    other = site.person().client.post(
        "/uploads", json={"size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    )
    assert other.status_code == 201  # another account's bundle says nothing


def test_a_refused_bundle_leaves_its_hash_alone(site):
    person = site.person()
    canary = b"a canary, which is nowhere"
    data = a_bundle() + canary
    before = files_of(site.folder)
    for answer in (
        person.client.post("/bundles", content=data),
        send(person, begin(person, data), 0, data),
    ):
        assert answer.status_code == 422
        assert answer.json()["detail"].startswith("The bundle is refused: ")
        assert answer.json()["detail"].endswith(".")
    assert files_of(site.folder) == before
    assert all(canary not in path.read_bytes() for path in site.folder.rglob("*") if path.is_file())
    with site.service.reading() as session:
        lines = session.scalars(select(Event).where(Event.account_id == person.id)).all()
    found = {(line.action, line.object_id, line.outcome) for line in lines}
    assert found == {("bundle.refused", hashlib.sha256(data).hexdigest(), "verifier")}


def test_what_the_second_lock_refuses_leaves_its_hash_alone(site, monkeypatch):
    person, data, before = site.person(), a_bundle(3), files_of(site.folder)

    def looks_like_a_photograph(bundle):
        raise BundleError("it looks like a photograph; protect again.")

    monkeypatch.setattr("sansface.serve.second_lock.check", looks_like_a_photograph)
    answer = person.client.post("/bundles", content=data)
    assert answer.status_code == 422
    sentence = "The bundle is refused: it looks like a photograph; protect again."
    assert answer.json() == {"detail": sentence}
    assert files_of(site.folder) == before
    with site.service.reading() as session:
        line = session.scalars(select(Event).where(Event.account_id == person.id)).one()
    assert (line.object_id, line.outcome) == (hashlib.sha256(data).hexdigest(), "second-lock")


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 2**32 - 1), which=st.integers(0, len(RAW) - 1))
def test_mutated_bundles_are_refused_at_the_door(site, seed, which):
    if not hasattr(site, "mutant"):
        object.__setattr__(site, "mutant", site.person())
    data = bytearray(sample_bundle())
    RAW[which](data, np.random.default_rng(seed))
    before = set(site.stored())
    answer = site.mutant.client.post("/bundles", content=bytes(data))
    assert answer.status_code in (200, 201, 422)
    if answer.status_code == 422:
        assert set(site.stored()) == before


def test_wrong_hash(site):
    person, data = site.person(), a_bundle()
    answer = person.client.post("/uploads", json={"size": len(data), "sha256": "0" * 64})
    refused = send(person, answer.json()["id"], 0, data)
    assert refused.status_code == 422
    assert "SHA-256" in refused.json()["detail"]
    assert person.client.get(f"/uploads/{answer.json()['id']}").status_code == 404


def test_more_bytes_than_declared(site):
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    assert send(person, upload, 0, data + b"x").status_code == 413
    assert person.client.get(f"/uploads/{upload}").status_code == 404


def test_sizes_are_limited(site):
    person, reserved = site.person(), site.service.uploads.reserved
    declared = {"size": MAX_BYTES + 1, "sha256": "0" * 64}
    assert person.client.post("/uploads", json=declared).status_code == 422
    host, port = site.url.removeprefix("http://").split(":")
    for header in (f"Content-Length: {MAX_BYTES + 1}", "Content-Length: 99999999999999999999999"):
        with socket.create_connection((host, int(port))) as line:  # told before a byte of it came
            line.sendall(
                f"POST /api/v1/bundles HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {person.token}\r\n"
                f"{header}\r\n\r\n".encode()
            )
            assert line.recv(1000).split(b" ")[1] in (b"413", b"400")

    def endless():
        for _ in range(3 * (MAX_BYTES >> 20)):
            yield bytes(1 << 20)

    with suppress(httpx.TransportError):  # the server may hang up in the middle of it
        assert person.client.post("/bundles", content=endless()).status_code == 413  # no length is declared
    until(lambda: site.service.uploads.reserved == reserved)
    big = person.client.post("/tokens", content=b" " * 100_000, headers={"Content-Type": "application/json"})
    assert big.status_code == 413


def test_a_full_disk(site, monkeypatch):
    person, data = site.person(), a_bundle()
    before = files_of(site.folder)

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    upload = begin(person, data)
    answer = send(person, upload, 0, data)
    assert answer.status_code == 507
    assert answer.json()["detail"].count(".") == 1
    assert files_of(site.folder) == before
    monkeypatch.undo()
    again = send(person, upload, len(data), b"")  # the bytes are still there; only the end is sent again
    assert again.status_code == 200
    assert again.json()["bundle"]


def test_a_database_that_fails_at_the_end_leaves_nothing(site, monkeypatch):
    person, before = site.person(), site.stored()

    def down(*_):
        raise SansfaceError("the store is down")

    monkeypatch.setattr(intake, "record", down)
    assert person.client.post("/bundles", content=a_bundle()).status_code == 503
    monkeypatch.undo()
    assert site.stored() == before
    assert person.client.get("/bundles").json() == []


def test_data_that_are_deleted_while_a_bundle_is_at_the_door(site, monkeypatch):
    person, before = site.person(), site.stored()
    at_the_door, deleted = threading.Event(), threading.Event()
    admit = intake.door.admit

    def slowly(data):
        at_the_door.set()
        assert deleted.wait(120)
        return admit(data)

    monkeypatch.setattr(intake.door, "admit", slowly)
    with ThreadPoolExecutor(1) as pool:
        sent = pool.submit(person.client.post, "/bundles", content=a_bundle())
        assert at_the_door.wait(120)
        assert site.person(of=person).client.delete("/account/data").status_code == 204
        deleted.set()
        assert sent.result().status_code == 404
    assert person.client.get("/bundles").json() == []
    assert site.stored() == before


@pytest.mark.parametrize("what", ["/uploads/{}", "/account/data"])
def test_what_is_dropped_at_the_door_counts_until_it_is_judged(tmp_path, database_url, monkeypatch, what):
    """Its bytes are in memory as long: else an account could begin as many others as it likes."""
    bundles, judged, go_on = [a_bundle(number) for number in range(3)], [], threading.Event()
    admit = intake.door.admit

    def slowly(data):
        judged.append(data)
        assert go_on.wait(120)
        return admit(data)

    monkeypatch.setattr(intake.door, "admit", slowly)
    room = sum(map(len, bundles)) - 1
    limits = replace(EASY, doors=1, account_upload_bytes=room, upload_bytes=room)
    with running(tmp_path, limits, database_url) as site, ThreadPoolExecutor(2) as pool:
        person, again, sent = site.person(), site.person(), []
        declared = {"size": len(bundles[2]), "sha256": "0" * 64}
        for data in bundles[:2]:
            upload = begin(person, data)
            sent.append(pool.submit(send, site.person(of=person), upload, 0, data))
            until(lambda: site.service.uploads.get(upload, person.id).judged)  # noqa: B023
            until(lambda: judged)  # the first is past the door's own question whether it is wanted still
            assert person.client.delete(what.format(upload)).status_code == 204
            assert person.client.get(f"/uploads/{upload}").status_code == 404
            assert person.client.delete(f"/uploads/{upload}").status_code == 404
        assert site.service.uploads.reserved == len(bundles[0]) + len(bundles[1])
        assert person.client.post("/uploads", json=declared).status_code == 429
        assert again.client.post("/uploads", json=declared).status_code == 503
        go_on.set()
        assert [future.result().status_code for future in sent] == [404, 404]
        assert judged == bundles[:1]  # the other one was dropped before its turn
        assert site.service.uploads.reserved == 0
        assert person.client.post("/uploads", json=declared).status_code == 201
        assert site.stored() == []


def test_what_is_dropped_is_not_kept_by_a_request_that_stalls(site):
    person, data = site.person(), a_bundle()
    upload = begin(person, data)
    with cut_off(site, person, upload, data, 7000):
        kept = site.service.uploads.get(upload, person.id)
        until(lambda: len(kept.data) == 7000)
        assert person.client.delete(f"/uploads/{upload}").status_code == 204
        assert len(kept.data) == 0


def test_refused_bundles_fill_no_audit_log(tmp_path, database_url):
    with running(tmp_path, replace(EASY, account_refusals=2), database_url) as site:
        person, other = site.person(), site.person()
        for who in (person, person, person, other):
            assert who.client.post("/bundles", content=b"x").status_code == 422
        wrong = person.client.post("/uploads", json={"size": 1, "sha256": "0" * 64}).json()["id"]
        assert send(person, wrong, 0, b"x").status_code == 422
        with site.service.reading() as session:
            lines = session.scalars(select(Event.account_id).where(Event.action == "bundle.refused")).all()
        assert sorted(lines) == sorted([person.id, person.id, other.id])


def test_the_event_loop_stays_free_while_bundles_are_verified(site, monkeypatch):
    person, free = site.person(), threading.Event()

    def slowly(data):
        assert free.wait(120)
        raise intake.door.Refused("no.", "verifier")

    monkeypatch.setattr(intake.door, "admit", slowly)
    others = [site.person() for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        sent = [pool.submit(one.client.post, "/bundles", content=a_bundle()) for one in others]
        until(lambda: site.service.doors.borrowed_tokens == site.service.limits.doors)
        assert person.client.get("/account").status_code == 200
        free.set()
        assert {future.result().status_code for future in sent} == {422}


def test_the_accounts_bytes_are_limited(tmp_path):
    data = a_bundle()
    with running(tmp_path, replace(EASY, account_bytes=len(data) + 10)) as site:
        person = site.person()
        assert person.client.post("/bundles", content=data).status_code == 201
        answer = person.client.post("/bundles", content=a_bundle(1))
        assert answer.status_code == 413
        assert "used up" in answer.json()["detail"]
        assert len(site.stored()) == 1
        with ThreadPoolExecutor(8) as pool:  # at once they must not slip through together
            other = site.person()
            bundles = [a_bundle(number) for number in range(8)]
            codes = [
                answer.status_code
                for answer in pool.map(lambda data: other.client.post("/bundles", content=data), bundles)
            ]
        assert sorted(codes) == [201] + [413] * 7
        assert len(site.stored()) == 2


# --- partial uploads by themselves ---


def refusal(does) -> int:
    with pytest.raises(Problem) as told:
        does()
    return told.value.status_code


def test_by_the_same_key_it_is_the_same_upload(site):
    """For whoever did not hear the answer; of another account, or of other bytes, it is another one."""
    person, other, data, key = site.person(), site.person(), a_bundle(), "0" * 32

    def asked(who, data: bytes, **more: str) -> dict:
        what = {"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **more}
        return who.client.post("/uploads", json=what).json()

    def begun(*words, **more: str) -> tuple[str, int]:
        answer = asked(*words, **more)
        return answer["id"], answer["offset"]

    first, _ = begun(person, data, key=key)
    send(person, first, 0, data[:100])
    assert begun(person, data, key=key) == (first, 100)
    strange = begun(person, data), begun(other, data, key=key), begun(person, data + b"x", key=key)
    assert len({first, *(upload for upload, _ in strange)}) == 4
    wrong = person.client.post("/uploads", json={"size": 1, "sha256": "0" * 64, "key": "mine"})
    assert wrong.status_code == 422
    assert send(person, first, 100, data[100:]).json()["bundle"]
    assert asked(person, data, key=key)["bundle"]


def test_partial_uploads_expire_without_a_byte():
    at = 0.0
    uploads = Uploads(Limits(upload_idle=60), lambda: at)
    kept, lost = uploads.begin("a", 10, ""), uploads.begin("a", 10, "")
    at = 50.0
    uploads.append(kept, uploads.take_turn(kept, 0), b"x")
    at = 70.0
    assert uploads.get(kept.id, "a") is kept
    assert refusal(lambda: uploads.get(lost.id, "a")) == 404
    assert refusal(lambda: uploads.get(kept.id, "b")) == 404
    assert uploads.reserved == 10


def test_memory_is_limited_for_each_and_for_all():
    limits = Limits(bundle_bytes=70, account_uploads=3, account_upload_bytes=100, upload_bytes=150)
    uploads = Uploads(limits, lambda: 0.0)
    assert refusal(lambda: uploads.begin("a", 71, "")) == 413
    first = uploads.begin("a", 60, "")
    assert refusal(lambda: uploads.begin("a", 60, "")) == 429
    uploads.begin("b", 60, "")
    assert refusal(lambda: uploads.begin("c", 60, "")) == 503
    uploads.begin("a", 1, "")
    uploads.begin("a", 1, "")
    assert refusal(lambda: uploads.begin("a", 1, "")) == 429
    uploads.drop(first)
    uploads.begin("c", 60, "")
    uploads.drop_account("c")
    assert uploads.reserved == 62


def test_what_is_at_the_door_counts_though_it_is_dropped():
    at = 0.0
    uploads = Uploads(Limits(account_upload_bytes=100, upload_idle=60), lambda: at)
    upload = uploads.begin("a", 60, "")
    uploads.append(upload, uploads.take_turn(upload, 0), bytes(60))
    with uploads.judging(upload):
        uploads.drop_account("a")
        at = 70.0
        assert not uploads.holds(upload)
        assert refusal(lambda: uploads.get(upload.id, "a")) == 404
        assert refusal(lambda: uploads.begin("a", 60, "")) == 429
        assert (uploads.reserved, len(upload.data)) == (60, 60)
    assert (uploads.reserved, len(upload.data)) == (0, 0)
    other = uploads.begin("a", 60, "")
    with uploads.judging(other):
        assert uploads.holds(other)
    assert uploads.holds(other)  # the service failed, say: its end may be sent again


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=20))
def test_any_order_of_pieces_gives_the_bytes_or_a_conflict(pieces):
    """However requests interleave, the data is always a beginning of what was sent."""
    data = bytes(range(12))
    uploads = Uploads(Limits(), lambda: 0.0)
    upload = uploads.begin("a", len(data), "")
    for offset, length in pieces:
        if offset == len(upload.data):
            turn = uploads.take_turn(upload, offset)
            uploads.append(upload, turn, data[offset : offset + length])
        else:
            with pytest.raises(Problem) as told:
                uploads.take_turn(upload, offset)
            assert (told.value.status_code, told.value.extra) == (409, {"offset": len(upload.data)})
        assert bytes(upload.data) == data[: len(upload.data)]
