"""Masks drawn and roles suggested by models on the page, with a real server: the user has the last word."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import pytest

pytest.importorskip("fastapi")
api = pytest.importorskip("playwright.sync_api")

from browser import ARGUMENTS, CHROMIUM  # noqa: E402
from sansface import assets  # noqa: E402
from sansface.errors import SansfaceError  # noqa: E402
from served import running  # noqa: E402

FRAMES = (0, 3, 10, 20, 21, 27)
"""Of lps: from the side, twice from the front, three times from behind, the last at 123°."""


@pytest.fixture
def capture(shared_captures: Path, tmp_path: Path) -> Path:
    """Some photographs of lps without masks, the first two called neutral, which they are not."""
    document = json.loads((shared_captures / "lps/transforms.json").read_text())
    document["frames"] = [document["frames"][index] for index in FRAMES]
    (tmp_path / "head/images").mkdir(parents=True)
    for index, frame in enumerate(document["frames"]):
        picture = cv2.imread(str(shared_captures / "lps" / frame["file_path"]))
        assert picture is not None
        cv2.imwrite(str(tmp_path / "head" / frame["file_path"]), picture)
        frame.pop("mask_path", None)
        frame["role"] = "neutral" if index < 2 else "sensitive"
    (tmp_path / "head/transforms.json").write_text(json.dumps(document))
    return tmp_path / "head"


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder of assets that is empty, for the server that starts."""
    monkeypatch.setenv(assets.MIRROR, str(tmp_path / "nothing"))


@pytest.fixture
def page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """The page of a real server; whatever fails but a file that is not there fails the test."""
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (set SANSFACE_CHROMIUM)")
    said, asked = [], []
    with running(tmp_path_factory.mktemp("service")) as site, api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page()
        page.set_default_timeout(60_000)
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("console", lambda message: said.append(message.text))
        page.on("request", lambda request: asked.append(request))
        page.goto(site.url)
        yield page
        browser.close()
        assert all(request.method == "GET" and request.post_data is None for request in asked)
        assert all(request.url.startswith((site.url, "blob:")) for request in asked)
    assert [text for text in said if "404" not in text] == []


def to_the_roles(page: Any, capture: Path) -> None:
    page.locator("input[webkitdirectory]").set_input_files(capture)
    page.get_by_role("button", name="Go on to the cameras").click()
    page.get_by_text(f"{len(FRAMES)} pictures found").wait_for()
    page.get_by_role("button", name="Go on to the roles").click()
    page.get_by_text("4 pictures sensitive, 2 neutral").wait_for()


def chosen(page: Any) -> list[str]:
    return page.locator("fieldset input:checked").evaluate_all("all => all.map((one) => one.value)")


def test_the_user_has_the_last_word(page: Any, capture: Path):
    for name in assets.PAGE:
        try:
            assets.find(name)
        except SansfaceError:
            pytest.skip(f"no {name} (sansface assets pull {' '.join(assets.PAGE)})")
    to_the_roles(page, capture)
    page.get_by_role("button", name="Suggest roles").click()
    page.get_by_text("Of 6 pictures the models take 2 for neutral").wait_for()
    assert chosen(page) == ["sensitive"] * 6  # the wrong roles are gone, and no other is there yet
    assert "123° from the front, not beyond 130°" in page.locator("fieldset").last.inner_text()
    page.get_by_role("button", name="Make 2 pictures neutral").click()
    page.get_by_role("button", name="Keep it sensitive").click()
    assert chosen(page) == ["sensitive"] * 6
    page.get_by_role("button", name="Make 2 pictures neutral").click()
    page.get_by_role("button", name=re.compile("^Nothing of the face shows")).click()
    page.get_by_text("4 pictures sensitive, 2 neutral").wait_for()
    assert chosen(page) == ["sensitive"] * 3 + ["neutral"] * 2 + ["sensitive"]
    page.get_by_label("A picture from straight in front").select_option(index=4)  # it is from behind
    page.get_by_role("button", name="Suggest roles").click()
    page.get_by_text("from where the photographs show the face").wait_for()
    page.get_by_role("button", name="Go on to the masks").click()
    page.get_by_text("0 masks confirmed, 0 to be looked at, 6 to be drawn").wait_for()
    page.get_by_role("button", name="Draw missing masks by the model").click()
    page.get_by_text("0 masks confirmed, 6 to be looked at, 0 to be drawn").wait_for()
    assert page.get_by_role("button", name="Go on and protect").is_disabled()
    page.get_by_role("button", name="I looked: these masks are right").click()
    page.get_by_role("button", name="Go on and protect").click()
    page.get_by_role("button", name="Protect the pictures").click()
    page.get_by_role("button", name="Go on to what will be sent").click()
    page.get_by_role("heading", name="What will be sent").wait_for()


def test_without_models_all_is_done_by_hand(nothing: None, page: Any, tiny_capture: Path):
    page.locator("input[webkitdirectory]").set_input_files(tiny_capture)
    page.get_by_role("button", name="Go on to the cameras").click()
    page.get_by_role("button", name="Go on to the roles").click()
    before = chosen(page)
    page.get_by_role("button", name="Suggest roles").click()
    page.get_by_text("this server does not have person").wait_for()
    assert chosen(page) == before
    page.get_by_role("button", name="Go on to the masks").click()
    page.get_by_role("button", name="Draw missing masks by the model").click()
    page.get_by_text("this server does not have person").wait_for()
    assert page.get_by_role("button", name="Go on and protect").is_disabled()
