"""Draws page.png: a step of the page, from disk, with the demo's head. Needs Playwright and Chromium.

python docs/images/from_page.py
"""

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from sansface.demo import make_demo_capture
from sansface.serve.standalone import standalone

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parents[1] / "tests"))

from browser import ARGUMENTS, CHROMIUM  # noqa: E402


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as play:
        file = Path(folder) / "protect.html"
        file.write_bytes(standalone())
        make_demo_capture(Path(folder) / "capture", views=12, size=256)
        browser = play.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1120, "height": 900})
        page.goto(file.as_uri())
        page.locator("input[webkitdirectory]").set_input_files(Path(folder) / "capture")
        page.get_by_role("button", name="Go on to the cameras").click()
        page.get_by_text("12 masks found").wait_for()
        page.get_by_role("button", name="Go on to the roles").click()
        page.get_by_role("button", name="Go on to the masks").click()
        page.get_by_role("button", name="I looked").click()
        page.get_by_role("button", name="Go on and protect").click()
        page.get_by_role("button", name="Protect the pictures").click()
        page.get_by_role("button", name="Go on to what").wait_for()
        page.wait_for_timeout(500)
        page.screenshot(
            path=HERE / "page.png", full_page=True, clip={"x": 0, "y": 0, "width": 1120, "height": 1140}
        )
        browser.close()


if __name__ == "__main__":
    main()
