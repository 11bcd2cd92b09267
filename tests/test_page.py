"""The page in a real Chromium, with a real server and worker: the whole way, what leaves, what goes wrong."""

import base64
import functools
import hashlib
import io
import json
import os
import re
import struct
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import trimesh

pytest.importorskip("fastapi")
api = pytest.importorskip("playwright.sync_api")

from browser import ARGUMENTS, CHROMIUM  # noqa: E402
from conftest import ROOT, make_tiny_capture  # noqa: E402
from sansface.capture import Role  # noqa: E402
from sansface.formats import read_capture  # noqa: E402
from sansface.protect.bundle import read_bundle  # noqa: E402
from sansface.protect.frame import read_frame  # noqa: E402
from sansface.protect.photograph import read_codes  # noqa: E402
from sansface.protect.reduce import neutral_codes, reduce  # noqa: E402
from sansface.serve.queue import Settings, StoredFile, finish, submit, take  # noqa: E402
from sansface.serve.tables import Bundle, Job  # noqa: E402
from sansface.surface import Mesh, read_mesh, transform, write_mesh  # noqa: E402
from served import PASSWORD, Person, Site, a_bundle, running, until  # noqa: E402
from wire import Wire, wire_to  # noqa: E402

SECOND = 1000  # milliseconds, as Playwright counts
GL = ["--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"]

QUICK = f"""
import sys
sys.path.insert(0, {str(ROOT / "tests")!r})
from small import small_config
from sansface.reconstruct import config, pictures
quick = small_config(20, 20)
config.PRESETS["fast"] = lambda *_: quick
pictures.MESH_SIZE = 48
from sansface.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""The command line with a preset of seconds."""


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (set SANSFACE_CHROMIUM)")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *GL])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with running(tmp_path_factory.mktemp("service")) as made:
        yield made


@dataclass
class Tab:
    """A tab of a browser on the page, and who sits before it."""

    page: Any
    wire: Wire
    person: Person
    asked: list[str]  # addresses of all requests

    def press(self, name: str | re.Pattern, **options: Any) -> None:
        self.page.get_by_role("button", name=name, **options).click()

    def heading(self, text: str, seconds: int = 120) -> None:
        """Wait for a step."""
        self.page.get_by_role("heading", name=text, exact=True).wait_for(timeout=seconds * SECOND)

    def saved(self, name: str) -> bytes:
        with self.page.expect_download() as waited:
            self.press(name, exact=True)
        return Path(waited.value.path()).read_bytes()

    def sign_in(self) -> None:
        self.page.get_by_label("Name").fill(self.person.name)
        self.page.get_by_label("Password").fill(PASSWORD)
        self.page.keyboard.press("Enter")

    def signed_in(self) -> None:
        """As if one had signed in on an earlier page."""
        token = json.dumps({"id": "0" * 32, "token": self.person.token})
        self.page.evaluate("token => sessionStorage.setItem('sansface-token', token)", token)


@pytest.fixture
def tab(chrome: Any, site: Site) -> Iterator[Callable[..., Tab]]:
    """Open a tab; its console must stay empty but for what the test expects."""
    contexts, said = [], []
    with wire_to(site.url) as wire:

        def opened(person: Person | None = None, address: str = "/", **options: Any) -> Tab:
            context = chrome.new_context(**{"viewport": {"width": 1280, "height": 800}, **options})
            contexts.append(context)
            page = context.new_page()
            page.set_default_timeout(60 * SECOND)
            asked: list[str] = []
            context.on("request", lambda request: asked.append(request.url))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.on("console", lambda message: said.append(message.text))
            page.goto(wire.url + address)
            return Tab(page, wire, person or site.person(), asked)

        yield opened
        for context in contexts:
            context.close()
    # A refused request is on the console, whatever the page makes of it.
    assert [text for text in said if not text.startswith("Failed to load resource")] == []


def to_the_masks(tab: Tab, capture: Path, pictures: int = 8, masks: int | None = None) -> None:
    """From an empty page to where masks are looked at: so many of them, or all."""
    page = tab.page
    page.locator("input[webkitdirectory]").set_input_files(capture)
    tab.press("Go on to the cameras")
    page.get_by_text(f"{pictures} masks found").wait_for()
    tab.press("Go on to the roles")
    tab.heading("Which pictures show the face?")
    tab.press("Go on to the masks")
    page.get_by_text(f"{pictures if masks is None else masks} to be looked at").wait_for()


def protected(tab: Tab, capture: Path, pictures: int = 8) -> None:
    """From an empty page to what will be sent."""
    to_the_masks(tab, capture, pictures)
    tab.press("I looked: these masks are right")
    tab.press("Go on and protect")
    tab.press("Protect the pictures")
    tab.press("Go on to what will be sent")
    tab.heading("What will be sent")


def command(*words: object) -> list[str]:
    return [sys.executable, "-c", QUICK, *map(str, words)]


def environment(site: Site) -> dict[str, str]:
    return os.environ | {
        "PYTHONPATH": str(ROOT / "src"),
        "OMP_NUM_THREADS": "1",
        "SANSFACE_DATABASE": f"sqlite:///{(site.folder / 'service.db').as_posix()}",
        "SANSFACE_STORE": str(site.folder / "store"),
        "SANSFACE_STORE_KEY": bytes(32).hex(),
    }


# --- rows a and b ---


@dataclass
class Canaries:
    """A capture, and bytes of it that may not leave, or that do."""

    folder: Path
    secret: dict[str, bytes]
    open: dict[str, bytes]


def with_exif(jpeg: bytes, text: bytes) -> bytes:
    """A JPEG with an APP1 segment whose one field, ImageDescription, is the text."""
    tiff = b"II" + struct.pack("<HIHHHIII", 42, 8, 1, 0x010E, 2, len(text) + 1, 26, 0) + text + b"\0"
    body = b"Exif\0\0" + tiff
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + jpeg[2:]


def with_canaries(folder: Path) -> Canaries:
    """The ball with noise on its sensitive photographs, which are JPEGs with EXIF and telling names."""
    make_tiny_capture(folder)
    path = folder / "transforms.json"
    document, rng = json.loads(path.read_text()), np.random.default_rng(7)
    for index, frame in enumerate(document["frames"]):
        old = folder / frame["file_path"]
        if frame["role"] == "neutral":
            continue
        picture = cv2.imread(str(old))
        picture[36:60, 36:60] = rng.integers(0, 256, (24, 24, 3))
        new = old.with_name(f"Grete-Canary-{index}.jpg")
        jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 98])[1].tobytes()
        new.write_bytes(with_exif(jpeg, f"Canary Street {index}, Springfield".encode()))
        old.unlink()
        frame["file_path"] = f"images/{new.name}"
    path.write_text(json.dumps(document))
    secret, opened = (
        {"folder": folder.name.encode(), "mask's name": b"masks/", "picture's path": b"images/"},
        {},
    )
    for frame in read_capture(folder).frames:
        colour, coverage = read_codes(frame)
        name, data = frame.image.name, frame.image.read_bytes()
        small = neutral_codes(reduce(colour, coverage, frame.camera, 64), 8)
        if frame.role == "neutral":
            found = pieces(f"{name}, reduced", small)
            opened |= {name: piece for name, piece in found.items() if name.endswith(" RGB")}
            continue
        secret |= {f"{name}'s name": name.encode(), f"{name}'s EXIF": b"Canary Street"}
        middle = len(data) // 2
        secret |= {f"{name}'s bytes at {at}": data[at : at + 16] for at in range(middle, middle + 400, 100)}
        secret |= pieces(f"{name}, whole", colour) | pieces(f"{name}, reduced", small)
    return Canaries(folder, secret, opened)


def pieces(name: str, picture: np.ndarray) -> dict[str, bytes]:
    """Stretches of eight pixels from the middle of a picture, in the orders in which pixels are kept."""
    height, width = picture.shape[:2]
    opaque = np.dstack([picture, np.full((height, width), 255, picture.dtype)])
    orders = {
        "RGB": picture, "BGR": picture[..., ::-1], "RGBA": opaque, "red": picture[..., 0],
        "green": picture[..., 1], "grey": picture.mean(axis=2).round().astype(np.uint8),
        "float": picture.astype("<f4") / np.float32(255),
    }  # fmt: skip
    found = {}
    for row in range(height * 4 // 10, height * 6 // 10, 3):
        for order, values in orders.items():
            piece = np.ascontiguousarray(values[row, width // 2 - 4 : width // 2 + 4])
            if len(np.unique(piece)) > 4:  # flat pieces occur anywhere
                found[f"{name}, row {row}, {order}"] = piece.tobytes()
    assert len(found) >= 7
    return found


def found_in(sent: bytes, wanted: dict[str, bytes]) -> set[str]:
    """Which of them occur, as they are or in base64 at any of its three places."""

    def forms(piece: bytes) -> Iterator[bytes]:
        yield piece
        for shift in range(3):
            coded = base64.b64encode(bytes(shift) + piece)
            yield coded[4 if shift else 0 : len(coded) - 4]

    return {name for name, piece in wanted.items() if any(form in sent for form in forms(piece))}


@pytest.fixture(scope="module")
def canaries(tmp_path_factory: pytest.TempPathFactory) -> Canaries:
    return with_canaries(tmp_path_factory.mktemp("canary") / "Villa-Canary")


def test_from_pictures_to_a_head_and_nothing_else_leaves(tab, site, canaries, tmp_path):
    """Row a in its short form, and row b."""
    ours = tab()
    page, sent = ours.page, ours.wire
    protected(ours, canaries.folder)
    bundle, way_back = ours.saved("Save the bundle"), ours.saved("Save the way back")
    digest = hashlib.sha256(bundle).hexdigest()
    assert digest in page.locator(".exactly").inner_text()
    (tmp_path / "head.sfb").write_bytes(bundle)
    assert b"/api/" not in sent.sent  # nothing was asked of the service so far
    ours.press("Send exactly this")
    ours.sign_in()
    ours.heading("The head is being made")
    with (tmp_path / "worker.log").open("w") as log:
        words = ("worker", "--device", "cpu", "--threads", 1, "--until-empty")
        worker = subprocess.Popen(
            command(*words), env=environment(site), stdout=log, stderr=log, cwd=tmp_path
        )
    try:
        ours.heading("The head", 200)
        page.get_by_text("triangles.").wait_for()
        assert worker.wait(240) == 0, (tmp_path / "worker.log").read_text()
    finally:
        worker.kill()
        worker.wait()
    assert drawn(page) > 50

    # the very mesh that the command line makes of the very bundle
    done = subprocess.run(
        command("reconstruct", tmp_path / "head.sfb", "-o", tmp_path / "out", "--device", "cpu"),
        env=environment(site), capture_output=True, text=True, timeout=600,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    mesh = ours.saved("The mesh")
    assert mesh == (tmp_path / "out" / "mesh.ply").read_bytes()
    report = ours.saved("The report")
    assert b"</html>" in report
    own = ours.saved("The mesh in your own frame")
    check_own_frame(tmp_path, mesh, own, way_back, digest)
    with zipfile.ZipFile(io.BytesIO(ours.saved("Everything"))) as everything:
        assert everything.read("mesh.ply") == mesh
        assert everything.read("mesh-own.ply") == own
        assert everything.testzip() is None
        assert "config.json" in everything.namelist()
    measure(ours)

    # row b
    recorded = bytes(sent.sent)
    assert bundle[:200_000] in recorded  # the recorder sees what is sent
    assert found_in(recorded, canaries.open) == set(canaries.open)  # and the search finds pixels in it
    assert found_in(recorded, canaries.secret) == set()
    assert way_back not in recorded
    assert b"rotation" not in recorded
    assert all(address.startswith((sent.url, "blob:")) for address in ours.asked)
    leak = next(canaries.folder.glob("images/Grete*"))
    send = "bytes => fetch('api/v1/leak', {method: 'POST', body: new Uint8Array(bytes)}).then(() => 0)"
    page.evaluate(send, [*leak.read_bytes()])
    assert f"{leak.name}'s EXIF" in found_in(bytes(sent.sent), canaries.secret)  # it would have been found

    # a reload forgets the way back; it can be loaded again
    page.reload()
    page.get_by_text("units of the sphere").wait_for()
    (tmp_path / "head.frame.json").write_bytes(way_back)
    (tmp_path / "other.frame.json").write_text(json.dumps(json.loads(way_back) | {"bundle": "0" * 64}))
    loader = page.locator("input[type=file]")
    loader.set_input_files(tmp_path / "other.frame.json")
    page.get_by_text("belongs to another bundle").wait_for()
    loader.set_input_files(tmp_path / "head.frame.json")
    page.get_by_text("The way back is loaded").wait_for()


@pytest.mark.slow
def test_a_scanned_head_as_good_as_by_python(tab, site, shared_captures, tmp_path):
    """Row a in its long form: the whole preset, the mesh bit for bit, and the score."""
    capture, ours = shared_captures / "lps", tab()
    protected(ours, capture, 30)
    (tmp_path / "head.sfb").write_bytes(ours.saved("Save the bundle"))
    (tmp_path / "head.frame.json").write_bytes(ours.saved("Save the way back"))
    ours.press("Send exactly this")
    ours.sign_in()
    ours.heading("The head is being made")

    def sansface(*words: object) -> None:
        done = subprocess.run(
            [sys.executable, "-m", "sansface", *map(str, words)],
            env=environment(site), capture_output=True, text=True, cwd=tmp_path,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr

    sansface("worker", "--device", "cpu", "--threads", 1, "--until-empty")
    ours.heading("The head")
    ours.page.get_by_text("triangles.").wait_for()
    (tmp_path / "own.ply").write_bytes(ours.saved("The mesh in your own frame"))
    (tmp_path / "alone").mkdir()
    (tmp_path / "alone" / "head.sfb").write_bytes((tmp_path / "head.sfb").read_bytes())
    sansface("reconstruct", "alone/head.sfb", "-o", "same", "--device", "cpu")  # no way back beside it
    assert ours.saved("The mesh") == (tmp_path / "same" / "mesh.ply").read_bytes()
    sansface("protect", capture, "-o", "python.sfb")
    sansface("reconstruct", "python.sfb", "-o", "python", "--device", "cpu")
    scores = []
    for mesh, name in (("own.ply", "ours.json"), ("python/mesh.ply", "python.json")):
        sansface("evaluate", mesh, "--truth", capture / "gt.ply", "--capture", capture, "--json", name)
        scores.append(json.loads((tmp_path / name).read_text())["score"])
    print(f"score through the page {scores[0]:.6f}, by Python {scores[1]:.6f}")
    assert abs(scores[0] / scores[1] - 1) <= 0.03
    check_same_codes(tmp_path / "head.sfb", tmp_path / "python.sfb")


def check_same_codes(one: Path, other: Path) -> None:
    """Two bundles hold the same pictures, and the same cameras to 1e-12."""
    first, second = read_bundle(one), read_bundle(other)
    assert first.scale == second.scale
    for got, want in zip(first.frames, second.frames, strict=True):
        np.testing.assert_array_equal(got.image, want.image)
        np.testing.assert_array_equal(got.mask, want.mask)
        np.testing.assert_allclose(got.camera.cam_from_world, want.camera.cam_from_world, atol=1e-12)


def check_own_frame(folder: Path, mesh: bytes, own: bytes, way_back: bytes, digest: str) -> None:
    for name, data in (("a.ply", mesh), ("b.ply", own), ("f.json", way_back)):
        (folder / name).write_bytes(data)
    frame = read_frame(folder / "f.json", digest)
    want = transform(read_mesh(folder / "a.ply"), frame.center, frame.radius, frame.rotation)
    np.testing.assert_allclose(read_mesh(folder / "b.ply").vertices, want.vertices, atol=1e-5 * frame.radius)
    assert frame.unit == "mm"


def readable(ply: bytes) -> Mesh:
    with tempfile.NamedTemporaryFile(suffix=".ply") as file:
        file.write(ply)
        file.flush()
        return read_mesh(file.name)


def drawn(page: Any) -> int:
    """How many colours the viewer shows."""
    page.wait_for_timeout(300)
    picture = cv2.imdecode(
        np.frombuffer(page.locator(".stage canvas").screenshot(), np.uint8), cv2.IMREAD_COLOR
    )
    return len(np.unique(picture.reshape(-1, 3), axis=0))


def measure(tab: Tab) -> None:
    """By keyboard alone."""
    page = tab.page
    page.get_by_role("radio", name="Circumference").check()
    page.locator(".stage canvas").focus()
    page.keyboard.press("Enter")
    page.get_by_text(re.compile(r"Way round: [\d.]+ mm")).wait_for()
    page.get_by_role("radio", name="Distance").check()
    page.locator(".stage canvas").focus()
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    said = page.get_by_text(re.compile(r"Straight: [\d.]+ mm. Along the surface: [\d.]+ mm")).inner_text()
    straight, along = map(float, re.findall(r"([\d.]+) mm", said))
    assert 0 < straight < along


# --- what may go wrong ---


def job_done(site: Site, person: Person, data: bytes | None = None) -> tuple[str, str]:
    """A bundle, and a job of it that ended with a box for a head."""
    answer = person.client.post("/bundles", content=a_bundle() if data is None else data)
    bundle = answer.json()["id"]
    with site.service.writing() as session:
        job, _ = submit(session, person.id, bundle, Settings(), session.get_one(Bundle, bundle).expires)
        job_id = job.id
    end(site, job_id)
    return bundle, job_id


def end(site: Site, job_id: str) -> None:
    """As if a worker had made a box of it."""
    while (lease := take(site.service.engine, "test", 60)) and lease.job_id != job_id:
        pass  # what other tests left waiting
    assert lease is not None
    path, files = site.folder / "box.ply", []
    box = trimesh.creation.box((1, 1.2, 1.1))
    write_mesh(Mesh(box.vertices, box.faces), path)
    for name, data in (("mesh.ply", path.read_bytes()), ("report.html", b"<html></html>")):
        stored = f"results/{job_id}/{lease.attempt}/{name}"
        site.service.store.put(stored, data)
        files.append(StoredFile(name, len(data), hashlib.sha256(data).hexdigest(), stored))
    assert finish(site.service.engine, lease, files)


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a smooth ball, whose gradients the second lock takes for a photograph: not to be sent."""
    return make_tiny_capture(tmp_path_factory.mktemp("ball") / "capture")


@pytest.fixture(scope="module")
def ball(canaries: Canaries) -> Path:
    return canaries.folder


def offsets(sent: bytes) -> list[int]:
    return [int(number) for number in re.findall(rb"(?i)upload-offset: (\d+)", sent)]


def test_a_closed_lid_in_the_middle_of_an_upload(tab, site, ball):
    """It goes on where it broke."""
    ours = tab()
    ours.signed_in()
    protected(ours, ball)
    ours.wire.cut(after=30_000)
    ours.press("Send exactly this")
    until(lambda: ours.wire.broken)
    ours.page.get_by_text("The connection is lost; trying again.").wait_for()
    ours.wire.mend()
    ours.heading("The head is being made")
    api.expect(ours.page.locator("#line")).to_be_empty()
    first, *later = offsets(bytes(ours.wire.sent))
    assert first == 0
    assert later
    assert min(later) > 10_000
    assert len(ours.person.client.get("/bundles").json()) == 1


def test_an_expired_token_asks_to_sign_in_and_goes_on(tab, site, ball):
    person = site.person()
    ours = tab(person)
    ours.signed_in()
    protected(ours, ball)
    for one in person.client.get("/tokens").json():
        person.client.delete(f"/tokens/{one['id']}")
    ours.press("Send exactly this")
    ours.page.get_by_role("dialog", name="Sign in").wait_for()
    ours.sign_in()
    ours.heading("The head is being made")


def test_a_token_that_expires_while_a_job_waits(tab, site):
    """The stream says so, the page asks, and goes on with the same job."""
    person, waits = site.person(), re.compile("next in line|It waits")
    bundle = person.client.post("/bundles", content=a_bundle()).json()["id"]
    job = person.client.post("/jobs", json={"bundle": bundle}).json()["id"]
    short = site.person(seconds=3, of=person)
    ours = tab(short)
    ours.signed_in()
    ours.page.goto(f"{ours.wire.url}/#job/{job}")
    ours.page.get_by_role("dialog", name="Sign in").wait_for()
    ours.sign_in()
    ours.page.get_by_text(waits).first.wait_for()
    person.client.post(f"/jobs/{job}/cancel")
    ours.page.get_by_text("It was stopped.").first.wait_for()
    ours.press("Start it again")
    ours.page.get_by_text(waits).first.wait_for()
    person.client.delete(f"/jobs/{job}")
    ours.page.get_by_text("This head was deleted").wait_for()


@pytest.mark.parametrize("state", ["dead", "cancelled"])
def test_the_headline_of_a_job_fits_its_state(tab, site, state):
    """After a reload, too: nothing goes on where it was stopped, failed or deleted."""
    person = site.person()
    bundle = person.client.post("/bundles", content=a_bundle()).json()["id"]
    job = person.client.post("/jobs", json={"bundle": bundle}).json()["id"]
    ours = tab(person)
    page, goes_on = ours.page, ours.page.get_by_text("You may close this page: the work goes on")
    ours.signed_in()
    page.goto(f"{ours.wire.url}/#job/{job}")
    goes_on.wait_for()
    ours.heading("The head is being made")

    def ended(title: str) -> None:
        ours.heading(title)
        assert page.title() == f"{title} – sansface"
        assert not goes_on.is_visible()
        assert not page.get_by_role("button", name="Stop it").is_visible()

    with site.service.writing() as session:
        session.get_one(Job, job).state = state
    for _ in range(2):
        ended("The head was not made")
        page.reload()
    person.client.delete(f"/bundles/{bundle}")
    for _ in range(2):
        page.reload()
        page.get_by_text("This head was deleted").wait_for()
        ended("The head was deleted")


def test_a_wrong_password_is_said_and_can_be_corrected(tab):
    ours = tab()
    ours.press("Your heads")
    ours.press("Cancel")
    ours.page.get_by_role("alert").get_by_role("button", name="Sign in").click()
    ours.page.get_by_label("Name").fill(ours.person.name)
    ours.page.get_by_label("Password").fill("wrong, and long enough")
    ours.page.keyboard.press("Enter")
    ours.page.get_by_role("dialog").get_by_role("alert").filter(has_text=re.compile(r"\w")).wait_for()
    ours.sign_in()
    ours.page.get_by_text("There is none yet.").wait_for()


def test_a_refusal_is_said_in_its_own_sentence(tab, ball):
    """And the way on stays: the same button."""
    ours = tab()
    ours.signed_in()
    protected(ours, ball)
    for status, sentence in (
        (422, "The door says no to this bundle."),
        (507, "The disk is full; try again later."),
        (413, "It is more than your account may keep."),
    ):
        answer = json.dumps({"detail": sentence})
        handler = functools.partial(lambda route, **given: route.fulfill(**given), status=status, body=answer)
        ours.page.route("**/api/v1/uploads/*", handler)
        ours.press("Send exactly this")
        ours.page.get_by_role("alert").get_by_text(sentence).wait_for()
        ours.page.unroute("**/api/v1/uploads/*")
    ours.press("Send exactly this")
    ours.heading("The head is being made")


def test_a_head_deleted_in_another_tab(tab, site):
    person = site.person()
    _, job = job_done(site, person)
    one, other = tab(person), tab(person)
    for this in (one, other):
        this.signed_in()
    one.page.goto(f"{one.wire.url}/#job/{job}")
    one.page.get_by_text("triangles.").wait_for()
    other.press("Your heads")
    other.press(re.compile("Delete the head of"))
    other.press("Delete it")
    other.page.get_by_text("There is none yet.").wait_for()
    one.page.evaluate("dispatchEvent(new Event('focus'))")  # one looks at the tab again
    one.page.get_by_text("This head was deleted").wait_for()
    assert drawn(one.page) > 2  # what was there is still to be seen
    one.page.reload()
    one.page.get_by_text("This head was deleted").wait_for()


@pytest.mark.parametrize("what", ["The report", "Everything"])
def test_a_download_of_a_head_that_was_deleted_elsewhere(tab, site, what):
    person = site.person()
    bundle, job = job_done(site, person)
    ours = tab(person)
    ours.signed_in()
    ours.page.goto(f"{ours.wire.url}/#job/{job}")
    ours.page.get_by_text("triangles.").wait_for()
    assert ours.saved(what)
    person.client.delete(f"/bundles/{bundle}")
    ours.press(what, exact=True)
    ours.page.get_by_role("alert").get_by_text("This head was deleted").wait_for()
    api.expect(ours.page.locator("#said")).not_to_contain_text("is being downloaded")


def test_one_button_deletes_everything(tab, site):
    person = site.person()
    for number in range(2):
        job_done(site, person, a_bundle(number))
    ours = tab(person)
    ours.signed_in()
    ours.press("Your heads")
    api.expect(ours.page.locator(".heads li")).to_have_count(2)
    ours.press("Delete everything")
    ours.press("Keep it")
    assert len(person.client.get("/bundles").json()) == 2
    ours.press("Delete everything")
    ours.page.get_by_role("dialog").get_by_role("button", name="Delete everything").click()
    ours.page.get_by_text("There is none yet.").wait_for()
    assert person.client.get("/bundles").json() == []
    ours.press("Sign out")
    ours.heading("Choose the pictures of a head")
    assert ours.page.evaluate("sessionStorage.length") == 0
    assert person.client.get("/account").status_code == 200  # another token of the account still holds


def waited(page: Any, true: Callable[[], Any]) -> None:
    """Until something is so that this very thread is told of by the browser."""
    until(lambda: page.wait_for_timeout(50) or true())


def looked_at_again(page: Any) -> None:
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for_timeout(500)


FAILED = {"status": 500, "body": json.dumps({"detail": "Something failed in the service."})}


@pytest.mark.parametrize("what", ["Delete everything", "Delete the head of"])
def test_a_deletion_that_fails_is_said(tab, site, what):
    """Whenever the tab is looked at again, and wherever one went meanwhile."""
    person, waiting = site.person(), []
    job_done(site, person)
    ours = tab(person)
    page = ours.page
    said = page.locator(".troubles").get_by_text("Something failed in the service.")
    ours.signed_in()
    ours.press("Your heads")
    page.route(
        re.compile("/api/v1/(account/data|bundles/)"),
        lambda route: waiting.append(route) if route.request.method == "DELETE" else route.continue_(),
    )

    def asked() -> None:
        ours.press(re.compile(what))

    def confirmed() -> None:
        page.get_by_role("dialog").get_by_role("button", name=re.compile("^Delete")).click()
        waited(page, lambda: waiting)

    def failed() -> None:
        waiting.pop().fulfill(**FAILED)
        said.wait_for()

    asked()
    ours.asked.clear()
    looked_at_again(page)
    assert ours.asked == []  # under a question the list stays
    confirmed()
    failed()
    looked_at_again(page)
    assert said.is_visible()
    asked()
    confirmed()
    looked_at_again(page)
    failed()
    asked()
    confirmed()
    ours.press("New head")
    failed()


def test_a_failure_to_delete_the_head_that_is_shown_stays(tab, site):
    person = site.person()
    _, job = job_done(site, person)
    ours = tab(person)
    page = ours.page
    ours.signed_in()
    page.goto(f"{ours.wire.url}/#job/{job}")
    page.get_by_text("triangles.").wait_for()
    page.route("**/api/v1/bundles/*", lambda route: route.fulfill(**FAILED))
    ours.press("Delete this head")
    ours.press("Delete it")
    said = page.locator(".troubles").get_by_text("Something failed in the service.")
    said.wait_for()
    looked_at_again(page)
    assert said.is_visible()


def test_a_dialog_over_another_has_its_own_name(tab):
    page = tab().page
    page.evaluate("""async () => {
        const { dialog } = await import("/page/dom.js");
        for (const title of ["Stop this job?", "Sign in"]) dialog(title, () => []);
    }""")
    api.expect(page.get_by_role("dialog")).to_have_count(2)
    for title in ("Stop this job?", "Sign in"):
        api.expect(page.get_by_role("dialog", name=title)).to_have_count(1)


def test_an_upload_that_is_still_looked_at_is_asked_for_in_peace(tab):
    """Its answer was lost; until the server has looked at it, what is sent again is refused."""
    ours, sent, data = tab(), [], a_bundle()
    ours.signed_in()

    def piece(route: Any) -> None:
        if route.request.method != "PATCH":
            route.continue_()
            return
        sent.append(int(route.request.headers["upload-offset"]))
        if len(sent) > 3:
            route.continue_()
            return
        offset = len(data) if len(sent) == 1 else 0
        route.fulfill(status=409, body=json.dumps({"detail": "Elsewhere.", "offset": offset}))

    ours.page.route("**/api/v1/uploads/*", piece)
    upload = """async ([bytes, digest]) => {
        const { Api } = await import("/page/api.js");
        const began = performance.now();
        const bundle = await new Api(async () => false).upload(Uint8Array.from(bytes), digest, () => {});
        return [bundle, performance.now() - began];
    }"""
    bundle, took = ours.page.evaluate(upload, [[*data], hashlib.sha256(data).hexdigest()])
    assert bundle == ours.person.client.get("/bundles").json()[0]["id"]
    assert sent == [0, len(data), 0, 0]
    assert took > 2 * 0.75 * SECOND  # twice the offset had not moved


def begun(tab: Tab) -> int:
    """How many uploads the page has begun."""
    return bytes(tab.wire.sent).count(b"POST /api/v1/uploads ")


def test_an_upload_that_is_deleted_elsewhere_is_not_begun_again(tab, ball):
    """Not by itself: who deletes everything in another tab means this, too."""
    ours = tab()
    page, client = ours.page, ours.person.client
    ours.signed_in()
    protected(ours, ball)

    def deleted(route: Any) -> None:
        assert client.delete("/account/data").is_success
        route.continue_()

    page.route("**/api/v1/uploads/*", deleted, times=1)
    ours.press("Send exactly this")
    page.get_by_role("alert").get_by_text(
        "The upload is no longer there: it was deleted elsewhere"
    ).wait_for()
    page.wait_for_timeout(500)
    assert begun(ours) == 1
    assert client.get("/bundles").json() == []
    ours.press("Send exactly this")
    ours.heading("The head is being made")


def test_an_upload_whose_last_answer_is_lost_is_not_lost(tab, ball):
    ours = tab()
    ours.signed_in()
    protected(ours, ball)

    def unheard(route: Any) -> None:
        route.fetch()
        route.abort()

    ours.page.route("**/api/v1/uploads/*", unheard, times=1)
    ours.press("Send exactly this")
    ours.heading("The head is being made")
    assert begun(ours) == 1


def test_an_upload_whose_first_answer_is_lost_is_one_upload(tab, site, ball):
    ours, uploads = tab(), site.service.uploads
    others = uploads.reserved
    ours.signed_in()
    protected(ours, ball)

    def unheard(route: Any) -> None:
        route.fetch()
        route.abort()

    ours.page.route("**/api/v1/uploads", unheard, times=1)
    ours.press("Send exactly this")
    ours.heading("The head is being made")
    assert (uploads.reserved, begun(ours)) == (others, 2)  # asked for twice, and nothing is left of it


def test_failed_uploads_do_not_pile_up(tab, site, ball):
    """What failed goes on, and what was refused or left is deleted, if only before the next one."""
    ours, uploads = tab(), site.service.uploads
    page, others = ours.page, uploads.reserved
    ours.signed_in()
    protected(ours, ball)

    def fails(status: int) -> None:
        answer = {"status": status, "body": json.dumps({"detail": f"No, says {status}."})}

        def pieces(route: Any) -> None:
            if route.request.method == "PATCH":
                route.fulfill(**answer)
            else:
                route.continue_()

        page.route("**/api/v1/uploads/*", pieces)
        ours.press("Send exactly this")
        page.get_by_role("alert").get_by_text(f"No, says {status}.").wait_for()
        page.unroute("**/api/v1/uploads/*")

    fails(500)
    one = uploads.reserved - others
    assert one > 0
    fails(507)
    assert (uploads.reserved - others, begun(ours)) == (one, 1)
    fails(422)
    assert (uploads.reserved, begun(ours)) == (others, 1)
    fails(500)
    ours.press("Back", exact=True)
    waited(page, lambda: uploads.reserved == others)
    ours.press("Go on to what will be sent")
    fails(500)
    ours.wire.cut()
    ours.press("Back", exact=True)
    page.wait_for_timeout(500)
    assert uploads.reserved - others == one  # it could not be said
    ours.wire.mend()
    ours.press("Go on to what will be sent")
    ours.press("Send exactly this")
    ours.heading("The head is being made")
    assert (uploads.reserved, begun(ours)) == (others, 4)


def test_the_same_bundle_twice_is_one_head(tab, ball):
    person_tab = tab()
    person_tab.signed_in()
    for _ in range(2):
        person_tab.press("New head")
        protected(person_tab, ball)
        person_tab.press("Send exactly this")
        person_tab.heading("The head is being made")
    assert len(offsets(bytes(person_tab.wire.sent))) == 1
    assert len(person_tab.person.client.get("/jobs").json()) == 1


def test_roles_fail_closed(tab, plain, tmp_path):
    """What is not said is sensitive; neutral is asked for twice; without a mask nothing goes on."""
    document = json.loads((plain / "transforms.json").read_text())
    for frame in document["frames"]:
        frame.pop("role")
        frame.pop("mask_path")
    files = [
        {"name": "transforms.json", "mimeType": "application/json", "buffer": json.dumps(document).encode()}
    ]
    files += [
        {"name": path.name, "mimeType": "image/png", "buffer": path.read_bytes()}
        for path in plain.glob("images/*")
    ]
    ours = tab()
    page = ours.page
    page.locator("input[accept*=heic]").set_input_files(files)
    ours.press("Go on to the cameras")
    page.get_by_text("0 masks found").wait_for()
    ours.press("Go on to the roles")
    page.get_by_text("8 pictures sensitive, 0 neutral").wait_for()
    page.get_by_role("group", name="000.png").get_by_label("neutral").click()
    ours.press("Keep it sensitive")
    page.get_by_text("8 pictures sensitive, 0 neutral").wait_for()
    api.expect(page.get_by_role("group", name="000.png").get_by_label("sensitive")).to_be_checked()
    page.get_by_role("group", name="003.png").get_by_label("neutral").click()
    ours.press("Nothing of the face shows: neutral")
    page.get_by_text("One neutral picture is too few").wait_for()
    assert page.get_by_role("button", name="Go on to the masks").is_disabled()
    page.get_by_role("group", name="003.png").get_by_label("sensitive").click()
    ours.press("Go on to the masks")
    page.get_by_text("8 to be drawn").wait_for()
    assert page.get_by_role("button", name="Go on and protect").is_disabled()
    draw_by_keyboard(ours)
    page.get_by_text("1 mask confirmed, 0 to be looked at, 7 to be drawn").wait_for()
    assert page.get_by_role("button", name="Go on and protect").is_disabled()


def held(tab: Tab, task: str, when: str) -> Callable[[], None]:
    """Let the page's workers wait before a task where that is so; what comes back lets them go on."""
    begin = re.compile(rf"async {task}\({{.*}}\) {{")
    wait = f"if ({when}) await new Promise((go) => {{ new BroadcastChannel('test').onmessage = go; }});"

    def changed(route: Any) -> None:
        answer = route.fetch()
        text, count = begin.subn(lambda found: found.group() + wait, answer.text())
        assert count == 1
        route.fulfill(response=answer, body=text)

    tab.page.context.route("**/protect/worker.js", changed)
    return lambda: tab.page.evaluate("new BroadcastChannel('test').postMessage('go on')")


@pytest.mark.parametrize("task", ["reduce", "bundle"])
def test_a_picture_made_sensitive_while_it_is_protected_leaves_as_such(tab, ball, tmp_path, task):
    """Back does not wait for a worker; what the worker then gives is of the picture as it was."""
    name, ours = "004.png", tab()
    page = ours.page
    when = f"frame.file.name === '{name}' && frame.role === 'neutral'"
    go_on = held(ours, task, when if task == "reduce" else "smalls.filter((one) => one.codes).length === 3")
    to_the_masks(ours, ball)
    ours.press("I looked: these masks are right")
    ours.press("Go on and protect")
    ours.press("Protect the pictures")
    done = 7 if task == "reduce" else 8
    page.get_by_text(f"{done} of 8 pictures protected.").wait_for(state="attached")
    page.wait_for_timeout(200)
    ours.press("Back")
    ours.press("Back")
    page.get_by_role("group", name=name).get_by_label("sensitive").click()
    page.get_by_text("6 pictures sensitive, 2 neutral").wait_for()
    go_on()
    page.wait_for_timeout(500)
    ours.press("Go on to the masks")
    page.get_by_text("Every mask is confirmed.").wait_for()
    ours.press("Go on and protect")
    assert page.get_by_role("button", name="Go on to what will be sent").is_hidden()
    ours.press("Protect the pictures")
    ours.press("Go on to what will be sent")
    page.get_by_text("Of 6 sensitive photographs").wait_for()
    (tmp_path / "head.sfb").write_bytes(ours.saved("Save the bundle"))
    found = [(frame.role, frame.image.ndim) for frame in read_bundle(tmp_path / "head.sfb").frames]
    neutral = [frame.role is Role.NEUTRAL and frame.image.name != name for frame in read_capture(ball).frames]
    assert found == [(Role.NEUTRAL, 3) if one else (Role.SENSITIVE, 2) for one in neutral]


def test_back_stops_protecting(tab, ball):
    """Nothing is ready to be sent that was not asked for on the step that is shown."""
    ours = tab()
    page = ours.page
    go_on = held(ours, "reduce", "frame.file.name === '004.png'")
    to_the_masks(ours, ball)
    ours.press("I looked: these masks are right")
    ours.press("Go on and protect")
    ours.press("Protect the pictures")
    page.get_by_text("7 of 8 pictures protected.").wait_for(state="attached")
    ours.press("Back")
    go_on()
    page.wait_for_timeout(500)
    api.expect(page.locator("#said")).to_be_empty()  # nothing more is said of it
    ours.press("Go on and protect")
    assert page.get_by_role("button", name="Go on to what will be sent").is_hidden()
    ours.press("Protect the pictures")
    ours.press("Go on to what will be sent")


def test_masks_are_looked_for_only_while_their_step_is_shown(tab, ball):
    ours, looked = tab(), []
    page = ours.page
    page.expose_function("looked", lambda name: looked.append(name))
    page.evaluate("() => { new BroadcastChannel('look').onmessage = ({ data }) => looked(data); }")
    told = "new BroadcastChannel('look').postMessage(file.name)"
    go_on = held(ours, "look", f"{told}, file.webkitRelativePath.includes('/masks/')")
    to_the_masks(ours, ball, masks=0)
    waited(page, lambda: len(looked) == 9)  # the pictures, and the first mask
    ours.press("Back")
    go_on()
    page.wait_for_timeout(500)
    assert len(looked) == 9
    ours.press("Go on to the masks")
    for count in range(10, 17):
        waited(page, lambda count=count: len(looked) == count)
        go_on()
    page.get_by_text("8 to be looked at").wait_for()


def test_a_length_that_the_user_knows_makes_all_lengths_millimetres(tab, site):
    person = site.person()
    _, job = job_done(site, person)
    ours = tab(person)
    page = ours.page
    ours.signed_in()
    page.goto(f"{ours.wire.url}/#job/{job}")
    page.get_by_text("triangles.").wait_for()
    in_millimetres = page.get_by_role("button", name="The mesh in millimetres")
    assert in_millimetres.is_disabled()
    page.get_by_role("radio", name="Distance").check()
    canvas, length = page.locator(".stage canvas"), page.get_by_label("This straight line is, in mm")
    canvas.focus()
    page.keyboard.press("Enter")
    assert not length.is_visible()
    page.keyboard.press("Enter")
    page.get_by_text("Straight: 0.0000 R").wait_for()
    assert not length.is_visible()  # nothing can be learnt of a point's distance from itself
    page.keyboard.press("Enter")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    said = page.get_by_text(re.compile(r"Straight: [\d.]+ R")).inner_text()
    (straight,) = map(float, re.findall(r"Straight: ([\d.]+) R", said))
    length.fill("63")
    length.press("Enter")
    page.get_by_text("Straight: 63.0 mm by the length that you gave").wait_for()
    mesh, scaled = (readable(ours.saved(name)) for name in ("The mesh", "The mesh in millimetres"))
    np.testing.assert_allclose(scaled.vertices, mesh.vertices * 63 / straight, rtol=1e-3)
    np.testing.assert_array_equal(scaled.faces, mesh.faces)
    page.get_by_role("radio", name="Circumference").check()
    canvas.focus()
    page.keyboard.press("Enter")
    page.get_by_text(re.compile(r"Way round: [\d.]+ mm by the length")).wait_for()


def test_the_unit_is_the_users_word(tab, ball, tmp_path):
    """Where the capture file says none, or another than the user."""
    ours = tab()
    to_the_masks(ours, ball)
    ours.press("I looked: these masks are right")
    ours.press("Go on and protect")
    ours.press("Protect the pictures")
    ours.press("Go on to what will be sent")
    before, said = (ours.saved(name) for name in ("Save the bundle", "Save the way back"))
    for _ in range(4):
        ours.press("Back", exact=True)
    unit = ours.page.get_by_label("Lengths of the cameras are in")
    assert unit.locator("option:checked").inner_text() == "millimetres"
    unit.select_option("metres")
    for step in ("Go on to the roles", "Go on to the masks", "Go on and protect", "Protect the pictures"):
        ours.press(step)
    ours.press("Go on to what will be sent")
    assert ours.saved("Save the bundle") == before  # which says nothing of a unit
    assert json.loads(ours.saved("Save the way back")) == json.loads(said) | {"unit": "m"}


def test_a_head_that_was_left_before_it_came_is_not_watched(tab, site):
    person, waiting = site.person(), []
    _, job = job_done(site, person)
    ours = tab(person)
    page = ours.page
    ours.signed_in()
    page.route("**/files/mesh.ply", lambda route: waiting.append(route))
    page.goto(f"{ours.wire.url}/#job/{job}")
    waited(page, lambda: waiting)
    ours.press("New head")
    waiting.pop().continue_()
    page.wait_for_timeout(500)
    ours.asked.clear()
    looked_at_again(page)
    assert ours.asked == []


@pytest.mark.slow
def test_each_head_keeps_its_way_back(tab, site, ball):
    """Until one signs out, whatever else is sent or looked at."""
    ours, jobs = tab(), []
    page = ours.page
    loaded, missing = page.get_by_text("The way back is loaded"), page.get_by_text("units of the sphere")

    def look(job: str) -> None:
        page.evaluate("job => { location.hash = `#job/${job}`; }", job)
        page.get_by_text("triangles.").wait_for()

    def heads() -> None:
        page.get_by_role("navigation").get_by_text("Your heads").click()
        ours.heading("Your heads")

    ours.signed_in()
    for size in ("64 pixels", "48 pixels"):
        ours.press("New head")
        to_the_masks(ours, ball)
        ours.press("I looked: these masks are right")
        ours.press("Go on and protect")
        page.get_by_text("Finer choices").click()
        page.get_by_label("Longer side").select_option(size)
        ours.press("Protect the pictures")
        ours.press("Go on to what will be sent")
        ours.press("Send exactly this")
        ours.heading("The head is being made")
        jobs.append(page.url.rpartition("/")[2])
        heads()
    for job in jobs:
        end(site, job)
    _, other = job_done(site, ours.person)
    for job, way in ((other, missing), (jobs[0], loaded), (other, missing), (jobs[1], loaded)):
        look(job)
        way.wait_for()
        heads()
    ours.press("Sign out")
    ours.heading("Choose the pictures of a head")
    ours.signed_in()
    look(jobs[0])
    missing.wait_for()


def test_a_mask_that_comes_after_another_was_confirmed_does_not_leave(tab, plain, tmp_path):
    """Pictures with alpha, whose masks' files are found later: what the user saw is what is used."""
    document, pictures, late = json.loads((plain / "transforms.json").read_text()), [], []
    dot = np.zeros((96, 96), np.uint8)
    dot[40:60, 40:60] = 255
    for frame in document["frames"]:
        name, mask = Path(frame["file_path"]).name, cv2.imread(str(plain / frame["mask_path"]), 0)
        picture = np.dstack([cv2.imread(str(plain / frame["file_path"])), mask])
        frame["mask_path"] = f"masks/late-{name}"
        for files, named, pixels in ((pictures, name, picture), (late, f"late-{name}", dot)):
            data = cv2.imencode(".png", pixels)[1].tobytes()
            files.append({"name": named, "mimeType": "image/png", "buffer": data})
    text = json.dumps(document).encode()
    told = {"name": "transforms.json", "mimeType": "application/json", "buffer": text}
    ours = tab()
    page = ours.page
    page.locator("input[accept*=heic]").set_input_files([told, *pictures])
    ours.press("Go on to the cameras")
    page.get_by_text("8 pictures found, 0 masks found").wait_for()
    ours.press("Go on to the roles")
    ours.press("Go on to the masks")
    page.get_by_text("8 to be looked at").wait_for()
    ours.press("I looked: these masks are right")
    ours.press("Back")
    ours.press("Back")
    page.get_by_label("Choose missing pictures").set_input_files(late)
    ours.press("Go on to the roles")
    ours.press("Go on to the masks")
    page.get_by_text("Every mask is confirmed.").wait_for()
    ours.press("Go on and protect")
    ours.press("Protect the pictures")
    ours.press("Go on to what will be sent")
    (tmp_path / "head.sfb").write_bytes(ours.saved("Save the bundle"))
    for frame in read_bundle(tmp_path / "head.sfb").frames:
        assert frame.mask is not None
        assert frame.mask.mean() > 2 * dot.mean()


def draw_by_keyboard(tab: Tab) -> None:
    """An ellipse, without any pointer."""
    page = tab.page
    page.get_by_role("button", name="Draw the mask of 000.png").focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    assert dialog.get_by_role("button", name="Use this mask").is_disabled()
    dialog.get_by_role("radio", name="Brush").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")
    dialog.get_by_label("Width").focus()
    for _ in range(5):
        page.keyboard.press("ArrowLeft")
    dialog.get_by_role("button", name="Add the ellipse").focus()
    page.keyboard.press("Enter")
    dialog.get_by_role("button", name="Use this mask").focus()
    page.keyboard.press("Enter")


@pytest.mark.parametrize(
    ("without", "says"),
    [
        ("delete globalThis.OffscreenCanvas", "This browser lacks reading pictures off the screen"),
        ("const Old = Worker; globalThis.Worker = class extends Old { constructor(url) { super(url); } }",
         "This browser lacks module workers. Use a browser of 2023 or later."),
    ],
)  # fmt: skip
def test_a_browser_without_the_features_needed_says_so(chrome, site, without, says):
    context = chrome.new_context()
    context.add_init_script(without)
    page = context.new_page()
    page.goto(site.url)
    page.get_by_text(says).wait_for()
    assert page.get_by_role("button", name="Choose").count() == 0
    context.close()


def test_what_the_page_can_do_without(tab, site):
    """Where storage is blocked the token is in the page alone; a stream needs no TextDecoderStream."""
    person = site.person()
    _, job = job_done(site, person)
    ours = tab(person)
    page = ours.page
    page.add_init_script("""
        delete globalThis.TextDecoderStream;
        for (const name of ["sessionStorage", "localStorage"]) {
          const get = () => { throw new DOMException("Blocked.", "SecurityError"); };
          Object.defineProperty(globalThis, name, { get });
        }
    """)
    page.goto(f"{ours.wire.url}/?#job/{job}")  # another address, so that the page is loaded anew
    page.get_by_role("dialog", name="Sign in").wait_for()
    ours.sign_in()
    page.get_by_text("triangles.").wait_for()  # the stream said that it is made
    page.get_by_role("navigation").get_by_text("Your heads").click()
    ours.heading("Your heads")
    ours.press("Sign out")
    ours.heading("Choose the pictures of a head")
    ours.press("Your heads")
    page.get_by_role("dialog", name="Sign in").wait_for()


def test_without_webgl_the_head_can_still_be_downloaded(tab, site):
    person = site.person()
    _, job = job_done(site, person)
    ours = tab(person)
    ours.page.add_init_script("HTMLCanvasElement.prototype.getContext = () => null")
    ours.signed_in()
    ours.page.goto(f"{ours.wire.url}/#job/{job}")
    ours.page.reload()
    ours.page.get_by_text("no WebGL 2").wait_for()
    assert ours.saved("The mesh").startswith(b"ply")


# --- row k ---


def grave(page: Any) -> list[str]:
    """Serious and critical violations that axe-core finds, in light at 1280 pixels and in dark at 360."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    found = []
    for width, scheme in ((1280, "light"), (360, "dark")):
        page.set_viewport_size({"width": width, "height": 800})
        page.emulate_media(color_scheme=scheme)
        page.wait_for_timeout(200)  # colours change over a moment
        too_wide = page.evaluate("document.documentElement.scrollWidth > innerWidth")
        found += [f"wider than {width} pixels"] if too_wide else []
        for one in axe.run(page).response["violations"]:
            if one["impact"] in ("serious", "critical"):
                found.append(f"{width} {scheme} {one['id']}: {one['nodes'][0]['html'][:200]}")
    return found


def test_axe_finds_nothing_grave_on_any_step(tab, site, ball):
    person = site.person()
    _, job = job_done(site, person)
    ours = tab(person)
    page = ours.page
    found = {}

    def look(step: str) -> None:
        if wrong := grave(page):
            found[step] = wrong

    look("pictures")
    page.locator("input[webkitdirectory]").set_input_files(ball)
    ours.press("Go on to the cameras")
    page.get_by_text("8 masks found").wait_for()
    assert page.evaluate("document.activeElement.tagName") == "H2"  # the focus went along
    look("capture")
    ours.press("Go on to the roles")
    ours.heading("Which pictures show the face?")
    look("roles")
    page.get_by_role("group", name="Grete-Canary-0.jpg").get_by_label("neutral").click()
    look("confirmation")
    page.keyboard.press("Escape")
    ours.press("Go on to the masks")
    page.get_by_text("8 to be looked at").wait_for()
    look("masks")
    page.get_by_role("button", name="Change the mask of Grete-Canary-0.jpg").click()
    page.get_by_role("radio", name="Ellipse").check()
    look("mask editor")
    page.keyboard.press("Escape")
    ours.press("I looked: these masks are right")
    ours.press("Go on and protect")
    page.get_by_text("Finer choices").click()
    ours.press("Protect the pictures")
    page.get_by_role("button", name="Go on to what will be sent").wait_for()
    look("protect")
    ours.press("Go on to what will be sent")
    look("send")
    ours.press("Send exactly this")
    look("sign in")
    ours.sign_in()
    ours.heading("The head is being made")
    look("progress")
    page.get_by_role("navigation").get_by_text("Your heads").click()
    ours.heading("Your heads")
    look("heads")
    page.goto(f"{ours.wire.url}/#job/{job}")
    page.get_by_text("triangles.").wait_for()
    page.get_by_role("radio", name="Distance").check()
    look("result")
    assert found == {}


# --- the numbers, and the page as one file ---


def test_the_page_says_the_numbers_of_the_readme():
    page = (ROOT / "src/sansface/serve/page/index.html").read_text(encoding="utf-8")
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    said = re.findall(r"\d+ % (?:of tries )?\[\d+, \d+\]|\d+ people|1\.3 %|\b166\b", " ".join(page.split()))
    assert len(said) >= 5
    assert [one for one in said if one not in " ".join(readme.replace("\n> ", " ").split())] == []
