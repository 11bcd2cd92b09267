"""Row h: every route with another's objects, with every scope alone, and with no token that is valid.

The matrix names every route of the application; a new route fails the first test until it has its line here.
"""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
from sqlalchemy import update

from sansface.serve.tables import Account
from sansface.serve.tokens import Scope
from served import PASSWORD, a_bundle, running

READ, SUBMIT, DELETE, ACCOUNT = Scope.READ, Scope.SUBMIT, Scope.DELETE, Scope.ACCOUNT


@dataclass(frozen=True)
class Line:
    """What a route needs, and a request of it.

    Attributes:
        scopes: that its token must have.
        names_object: does the request name an object of somebody? Then it must be 404 for all others.
        body: keywords of httpx' request, given the ids of somebody's objects.
    """

    scopes: frozenset[Scope] = frozenset()
    names_object: bool = False
    body: Callable[[dict[str, str]], dict[str, Any]] = lambda ids: {}


def line(*scopes: Scope, names_object: bool = False, body: Any = None) -> Line:
    return Line(frozenset(scopes), names_object, body or (lambda ids: {}))


DATA = a_bundle()
NEW = {"size": 10**6, "sha256": "0" * 64}
CHANGE = {"old": PASSWORD, "new": "another horse battery"}
PIECE = {"content": DATA[:10], "headers": {"Upload-Offset": "10"}}

MATRIX = {
    ("POST", "/api/v1/tokens"): None,  # signing in needs no token: tests of accounts
    ("GET", "/api/v1/tokens"): line(ACCOUNT),
    ("DELETE", "/api/v1/tokens/{token_id}"): line(ACCOUNT, names_object=True),
    ("GET", "/api/v1/account"): line(READ),
    ("POST", "/api/v1/account/password"): line(ACCOUNT, body=lambda ids: {"json": CHANGE}),
    ("DELETE", "/api/v1/account/data"): line(DELETE),
    ("DELETE", "/api/v1/account"): line(DELETE, ACCOUNT),
    ("POST", "/api/v1/uploads"): line(SUBMIT, body=lambda ids: {"json": NEW}),
    ("PATCH", "/api/v1/uploads/{upload_id}"): line(SUBMIT, names_object=True, body=lambda ids: PIECE),
    ("GET", "/api/v1/uploads/{upload_id}"): line(SUBMIT, names_object=True),
    ("DELETE", "/api/v1/uploads/{upload_id}"): line(SUBMIT, names_object=True),
    ("POST", "/api/v1/bundles"): line(SUBMIT, body=lambda ids: {"content": a_bundle(77)}),
    ("GET", "/api/v1/bundles"): line(READ),
    ("GET", "/api/v1/bundles/{bundle_id}"): line(READ, names_object=True),
    ("DELETE", "/api/v1/bundles/{bundle_id}"): line(DELETE, names_object=True),
    ("POST", "/api/v1/jobs"): line(
        SUBMIT, names_object=True, body=lambda ids: {"json": {"bundle": ids["bundle_id"], "seed": 5}}
    ),
    ("GET", "/api/v1/jobs"): line(READ),
    ("GET", "/api/v1/jobs/{job_id}"): line(READ, names_object=True),
    ("POST", "/api/v1/jobs/{job_id}/cancel"): line(SUBMIT, names_object=True),
    ("DELETE", "/api/v1/jobs/{job_id}"): line(DELETE, names_object=True),
    ("GET", "/api/v1/jobs/{job_id}/events"): line(READ, names_object=True),
    ("GET", "/api/v1/jobs/{job_id}/files/{name:path}"): line(READ, names_object=True),
}
OPEN = {
    ("GET", path)
    for path in (
        "/", "/page/{path:path}", "/protect.html", "/protect.html.sha256", "/models/{name}",
        "/openapi.json", "/health", "/metrics",
    )
}  # fmt: skip
"""Without login, for they say nothing of anybody."""
GUARDED = {route: needed for route, needed in MATRIX.items() if needed is not None}


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


@pytest.fixture(scope="module")
def owner(site):
    """Somebody with one object of each kind."""
    return new_owner(site)


def new_owner(site):
    person = site.person()
    bundle, job, name = site.finished_job(person)
    upload = person.client.post("/uploads", json={"size": len(DATA) + 1, "sha256": "1" * 64}).json()["id"]
    answer = person.client.patch(f"/uploads/{upload}", content=DATA[:10], headers={"Upload-Offset": "0"})
    assert answer.json()["offset"] == 10
    token = person.client.get("/tokens").json()[0]["id"]
    ids = {"bundle_id": bundle, "job_id": job, "name": name, "upload_id": upload, "token_id": token}
    return person, ids


def ask(client, route: tuple[str, str], ids: dict[str, str]):
    method, path = route
    words = {"headers": {}} | GUARDED[route].body(ids)
    plain = path.removeprefix("/api/v1").replace(":path}", "}")
    return client.request(method, plain.format(**ids), **words)


def routes_of(app) -> set[tuple[str, str]]:
    """All of an application, whatever router they are in."""
    found = set()
    for route in app.routes:
        inside = getattr(route, "original_router", None)
        if inside is not None:
            found |= routes_of(inside)
        else:
            found |= {(method, route.path) for method in route.methods - {"HEAD"}}
    return found


def test_the_matrix_has_every_route(site):
    assert routes_of(site.app) == set(MATRIX) | OPEN
    documented = {(m.upper(), path) for path, item in site.app.openapi()["paths"].items() for m in item}
    assert documented <= {(method, path.replace(":path}", "}")) for method, path in set(MATRIX) | OPEN}


def test_a_forgotten_route_would_be_found(tmp_path):
    with running(tmp_path) as other:
        other.app.get("/api/v1/forgotten")(lambda: None)
        assert routes_of(other.app) - set(MATRIX) - OPEN == {("GET", "/api/v1/forgotten")}


@pytest.fixture(scope="module")
def invalid(site, owner):
    """Clients with no token that is valid; of some the owner's once was, or nearly is."""
    person, _ = owner
    expired, disabled = site.person(seconds=-1.0, of=person), site.person()
    with site.service.writing() as session:
        session.execute(update(Account).where(Account.id == disabled.id).values(disabled=True))
    tokens = None, "x", "x" * 300, person.token[:-1], person.token.swapcase()
    return [*map(site.client, tokens), expired.client, disabled.client]


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_without_a_valid_token_nothing_is_told(owner, invalid, route):
    _, ids = owner
    for client in invalid:
        answer = ask(client, route, ids)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_another_s_objects_do_not_exist(site, owner, route):
    person, ids = owner
    before = everything(person)
    stranger = site.person()
    own_token = stranger.client.get("/tokens").json()[0]["id"]
    answer = ask(stranger.client, route, ids)
    if GUARDED[route].names_object:
        assert answer.status_code == 404
        nothing = ask(stranger.client, route, {name: "0" * 32 for name in ids})
        assert (answer.json(), strip(answer.headers)) == (nothing.json(), strip(nothing.headers))
    else:
        assert answer.status_code < 300
    told = answer.text.replace(own_token, "")
    assert not [what for what in (person.id, person.name, person.token, *ids.values()) if what in told]
    assert everything(person) == before


def strip(headers) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in ("x-request-id", "date")}


def everything(person) -> list[Any]:
    """All that somebody sees of their own."""
    ways = ("/account", "/bundles", "/jobs", "/tokens")
    return [person.client.get(way).json() for way in ways]


@pytest.fixture(scope="module")
def narrow(site, owner):
    """Clients of the owner, each with a token that lacks one scope."""
    return {lacking: site.person(*(set(Scope) - {lacking}), of=owner[0]).client for lacking in Scope}


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_without_one_of_its_scopes_it_is_not_done(owner, narrow, route):
    """One's own objects, with a token for everything else."""
    person, ids = owner
    before = everything(person)
    for lacking in GUARDED[route].scopes:
        answer = ask(narrow[lacking], route, ids)
        assert answer.status_code == 403
        assert f"the scope {lacking}" in answer.json()["detail"]
    assert everything(person) == before


@pytest.mark.parametrize("route", GUARDED, ids=" ".join)
def test_with_its_scopes_alone_it_is_done(site, route):
    person, ids = new_owner(site)
    answer = ask(site.person(*GUARDED[route].scopes, of=person).client, route, ids)
    assert answer.status_code in (200, 201, 204), answer.text


def test_a_token_may_always_end_itself(site):
    person = site.person()
    with_one = site.person(READ, of=person)
    secret = hashlib.sha256(with_one.token.encode()).hexdigest()
    tokens = person.client.get("/tokens").json()
    assert secret not in json.dumps(tokens)
    mine = next(token for token in tokens if token["scopes"] == ["read"])
    other = next(token for token in tokens if token["scopes"] != ["read"])
    assert with_one.client.delete(f"/tokens/{other['id']}").status_code == 403
    assert with_one.client.delete(f"/tokens/{mine['id']}").status_code == 204
    assert with_one.client.get("/account").status_code == 401
