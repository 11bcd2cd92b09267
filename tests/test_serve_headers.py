"""Headers on every answer; the page's files and no others; the document of the API."""

import hashlib
import json

import httpx
import pytest
from fastapi import FastAPI

from sansface.serve import problems
from sansface.serve.headers import POLICY, SecurityHeaders
from sansface.serve.routes import page
from sansface.serve.standalone import standalone
from served import a_bundle, running, serving


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    with running(tmp_path_factory.mktemp("site")) as site:
        yield site


def test_every_answer_has_them(site):
    person = site.person()
    _, job, name = site.finished_job(person)
    client = person.client
    answers = [
        client.get("/account"),
        client.get(f"/jobs/{job}/files/{name}"),
        client.get(f"{site.url}/health"),
        client.get(f"{site.url}/metrics"),
        client.get("/nothing"),
        client.put("/account"),
        client.post("/jobs", json={}),
        client.post("/tokens", content=b"x" * 100_000),
        client.post("/bundles", content=a_bundle()[:-1]),
        site.client().get("/account"),
        client.get(f"{site.url}/openapi.json"),
        client.get(f"{site.url}/docs"),
        client.get(f"{site.url}/nothing"),
    ]
    codes = [answer.status_code for answer in answers]
    assert codes == [200, 200, 200, 200, 404, 405, 422, 413, 422, 401, 200, 404, 404]
    for answer in answers:
        headers = answer.headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["cross-origin-opener-policy"] == "same-origin"
        assert headers["cross-origin-resource-policy"] == "same-origin"
        assert headers["permissions-policy"].startswith("camera=(self), microphone=()")
        assert headers["cache-control"] == "no-store"
        assert "default-src 'none'" in headers["content-security-policy"]
        assert (
            "unsafe-inline" not in headers["content-security-policy"]
            or "sandbox" in headers["content-security-policy"]
        )
        assert "frame-ancestors 'none'" in headers["content-security-policy"]
        assert len(headers["x-request-id"]) == 16
        assert "strict-transport-security" not in headers
        assert "server" not in headers
        assert not [key for key in headers if key.startswith("access-control")]
        if answer.status_code >= 400:
            assert set(answer.json()) == {"detail"}
            assert answer.json()["detail"].endswith(".")


def test_behind_tls_it_says_so(site):
    answer = site.client().get("/account", headers={"X-Forwarded-Proto": "https"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_the_policy_allows_nothing_from_elsewhere():
    assert "http" not in POLICY
    assert "*" not in POLICY
    assert "'unsafe-inline'" not in POLICY
    assert "'unsafe-eval'" not in POLICY


def test_a_file_of_a_result_is_to_be_saved(site):
    person = site.person()
    _, job, name = site.finished_job(person)
    answer = person.client.get(f"/jobs/{job}/files/{name}")
    assert answer.headers["content-disposition"] == 'attachment; filename="mesh.ply"'
    assert answer.headers["content-security-policy"].endswith("sandbox")
    assert answer.headers["etag"] == f'"{hashlib.sha256(answer.content).hexdigest()}"'
    assert int(answer.headers["content-length"]) == len(answer.content)
    assert person.client.get(f"/jobs/{job}").json()["files"] == [
        {"name": name, "size": len(answer.content), "sha256": hashlib.sha256(answer.content).hexdigest()}
    ]
    for other in ("mesh.obj", "..%2fmesh.ply", "%2e%2e%2f%2e%2e", "x" * 90):
        assert person.client.get(f"/jobs/{job}/files/{other}").status_code == 404


def test_a_file_that_was_changed_on_the_disk_is_not_given_out(site):
    person = site.person()
    _, job, name = site.finished_job(person)
    path = next((site.folder / "store" / "results" / job).rglob(name))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    answer = person.client.get(f"/jobs/{job}/files/{name}")
    assert answer.status_code == 503
    assert str(site.folder) not in answer.text


def test_operation_is_for_the_machine_itself(site):
    for way in ("/health", "/metrics"):
        assert site.client().get(site.url + way).status_code == 200
        assert site.client().get(site.url + way, headers={"X-Forwarded-For": "192.0.2.7"}).status_code == 404


def test_metrics_count_routes_and_not_people(site):
    person = site.person()
    site.finished_job(person)
    person.client.post("/bundles", content=b"nothing")
    text = person.client.get(f"{site.url}/metrics").text
    assert 'sansface_requests_total{method="POST",route="/api/v1/bundles",status="422"}' in text
    assert 'sansface_uploads_refused_total{kind="verifier"}' in text
    assert 'sansface_jobs{state="done"}' in text
    assert "sansface_queue_age_seconds 0.0" in text
    assert person.id not in text
    assert person.name not in text


# --- the page ---


@pytest.fixture
def pages(tmp_path):
    """A small page of its own: only what the folder has is served."""
    folder = tmp_path / "page"
    (folder / "protect").mkdir(parents=True)
    (tmp_path / "secret.js").write_text("secret")
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "protect" / "worker.js").write_text("export {};")
    (folder / "notes.bak").write_text("secret")
    app = FastAPI()
    problems.install(app)
    app.include_router(page.routes(folder))
    app.add_middleware(SecurityHeaders)
    with serving(app) as url, httpx.Client(base_url=url) as client:
        yield client


def test_the_page_s_files(pages):
    index = pages.get("/")
    assert index.headers["content-type"] == "text/html; charset=utf-8"
    assert index.headers["cache-control"] == "no-cache"
    worker = pages.get("/page/protect/worker.js")
    assert worker.text == "export {};"
    assert worker.headers["content-type"] == "text/javascript; charset=utf-8"
    again = pages.get("/page/protect/worker.js", headers={"If-None-Match": worker.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["content-security-policy"] == POLICY


def test_the_standalone_file_and_its_hash(pages):
    alone = pages.get("/protect.html")
    assert alone.headers["content-disposition"] == 'attachment; filename="protect.html"'
    assert alone.content == standalone()
    line = f"{hashlib.sha256(alone.content).hexdigest()}  protect.html\n"
    assert pages.get("/protect.html.sha256").text == line


@pytest.mark.parametrize(
    "path",
    [
        "/page/../secret.js", "/page/%2e%2e/secret.js", "/page/..%2fsecret.js", "/page//etc/passwd", "/page/",
        "/page/notes.bak", "/page/protect", "/page/nothing.js", "/page/protect/../../secret.js", "/secret.js",
        "/models/..%2f..%2fsecret.js", "/models/edgeface", "/models/nothing",
    ],
)  # fmt: skip
def test_nothing_else_is_served(pages, path):
    answer = pages.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text


def test_models_that_are_laid_down_are_served(tmp_path, shared_assets):
    app = FastAPI()
    problems.install(app)
    app.include_router(page.routes(tmp_path))
    with serving(app) as url, httpx.Client(base_url=url) as client:
        model = client.get("/models/person")
        assert model.status_code == 200
        assert model.content == (shared_assets / "weights/mediapipe/selfie_segmentation.tflite").read_bytes()
        assert client.get("/models/mobilefacenet").status_code == 404  # recognises people; not for the page


# --- the document ---


def test_the_document_says_all(site):
    document = site.client().get(f"{site.url}/openapi.json").json()
    ids = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            ids.append(operation["operationId"])
            assert operation["summary"]
            assert operation["description"].strip().endswith(".")
            if path.endswith(("/health", "/metrics")):
                continue
            assert {"422", "429", "503"} <= set(operation["responses"])
            assert ("401" in operation["responses"]) is True
            assert bool(operation.get("security")) is ((method, path) != ("post", "/api/v1/tokens"))
    assert len(set(ids)) == len(ids)
    assert [scheme["scheme"] for scheme in document["components"]["securitySchemes"].values()] == ["bearer"]
    assert "HTTPValidationError" not in json.dumps(document)
