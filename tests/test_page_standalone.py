"""The page as one file: the same bytes from the same sources, and it works from disk without a network."""

import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from browser import ARGUMENTS, CHROMIUM
from conftest import ROOT, make_tiny_capture
from sansface.errors import SansfaceError
from sansface.formats import read_capture
from sansface.protect.bundle import bundle_digest, read_bundle
from sansface.protect.frame import read_frame
from sansface.protect.pipeline import protect_capture
from sansface.serve import standalone as joining
from sansface.serve.standalone import standalone


def test_its_published_sum_is_current():
    published = re.findall(r"\b[0-9a-f]{64}\b", (ROOT / "docs/page.md").read_text(encoding="utf-8"))
    assert published == [hashlib.sha256(standalone()).hexdigest()]


def test_the_same_sources_give_the_same_bytes(say, tmp_path):
    for name in ("one.html", "two.html"):
        code, out, _ = say("page", "-o", tmp_path / name)
        assert code == 0
        data = (tmp_path / name).read_bytes()
        assert out == f"{hashlib.sha256(data).hexdigest()}  {name}\n"
        assert data == standalone()
    code, _, err = say("page", "-o", tmp_path / "one.html")
    assert code == 1
    assert "exists" in err


def test_the_checkouts_line_ends_do_not_matter(tmp_path, monkeypatch):
    before = standalone()
    for path in joining.FOLDER.rglob("*"):
        if path.is_file():
            copy = tmp_path / path.relative_to(joining.FOLDER)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    monkeypatch.setattr(joining, "FOLDER", tmp_path)
    assert standalone() == before


def test_it_has_no_connection_to_make():
    text = standalone().decode()
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "connect-src 'none'" in policy[1]
    assert not re.search(r"unsafe|https?:|\*", policy[1])
    script = text[text.index("<script") :]
    assert not re.search(r"\bfetch\(|XMLHttpRequest|WebSocket|EventSource|sendBeacon|api/v1", script)


@pytest.mark.parametrize(
    "line",
    [
        'import thing from "./dom.js";',
        'export { element } from "./dom.js";',
        "export default 1;",
        "const here = import.meta.url;",
        'import { main } from "./standalone.js";',
    ],
)
def test_what_cannot_be_joined_is_an_error(tmp_path, monkeypatch, line):
    for path in joining.FOLDER.rglob("*.*"):
        copy = tmp_path / path.relative_to(joining.FOLDER)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    with (tmp_path / "steps" / "send.js").open("a") as file:
        file.write(line.replace("./", "../") + "\n")
    monkeypatch.setattr(joining, "FOLDER", tmp_path)
    with pytest.raises(SansfaceError, match=r"cannot be joined|in a circle"):
        standalone()


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Any]:
    """A tab on the file, from disk; it asks for nothing else, and its console stays empty."""
    api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (set SANSFACE_CHROMIUM)")
    (tmp_path / "protect.html").write_bytes(standalone())
    said, asked = [], []
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        found = browser.new_page()
        found.set_default_timeout(60_000)
        found.on("console", lambda message: said.append(message.text))
        found.on("pageerror", lambda error: said.append(str(error)))
        found.context.on("request", lambda request: asked.append(request.url))
        found.goto((tmp_path / "protect.html").as_uri())
        yield found
        browser.close()
    assert [text for text in said if "127.0.0.1:9" not in text] == []
    asked = [address for address in asked if "127.0.0.1:9" not in address]
    assert {address.split(":")[0] for address in asked} <= {"file", "blob", "data"}
    assert [address for address in asked if address.startswith("file")] == [asked[0]]


def test_it_protects_from_disk_as_python_does(page, tmp_path):
    capture = make_tiny_capture(tmp_path / "capture")
    page.locator("input[webkitdirectory]").set_input_files(capture)
    press = lambda name: page.get_by_role("button", name=name).click()  # noqa: E731
    press("Go on to the cameras")
    page.get_by_text("8 masks found").wait_for()
    press("Go on to the roles")
    press("Go on to the masks")
    page.get_by_text("8 to be looked at").wait_for()
    press("I looked: these masks are right")
    press("Go on and protect")
    press("Protect the pictures")
    press("Go on to what will be sent")
    for button, name in (("Save the bundle", "head.sfb"), ("Save the way back", "head.frame.json")):
        with page.expect_download() as waited:
            press(button)
        assert waited.value.suggested_filename == name
        waited.value.save_as(tmp_path / name)
    bundle = read_bundle(tmp_path / "head.sfb")
    ours, frame = protect_capture(read_capture(capture))
    back = read_frame(tmp_path / "head.frame.json", bundle_digest(bundle))
    assert json.loads((tmp_path / "head.frame.json").read_text())["unit"] == frame.unit == back.unit
    assert back.radius == pytest.approx(frame.radius, rel=1e-6)
    for got, want in zip(bundle.frames, ours.frames, strict=True):
        assert got.role is want.role
        off = abs(got.image.astype(int) - want.image.astype(int))
        assert off.max() <= 2  # row c measures it
        assert (got.mask == want.mask).all()


def test_nothing_can_be_sent_from_it(page):
    """Its own policy forbids what a changed page, or an extension's script in it, might try."""
    page.evaluate("""() => {
        globalThis.blocked = [];
        addEventListener("securitypolicyviolation", (event) => blocked.push(event.effectiveDirective));
        const picture = Object.assign(document.createElement("img"), { src: "http://127.0.0.1:9/leak.png" });
        document.body.append(picture);
    }""")
    page.wait_for_function("blocked.includes('img-src')")
