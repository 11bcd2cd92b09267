"""The page's modules in a real Chromium: a tiny server on 127.0.0.1 and a blank page that imports them.

Without Playwright or Chromium the tests that ask for it are skipped by name.
"""

import base64
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import numpy as np
import pytest

from sansface.serve.models import model_file

PAGE = Path(__file__).resolve().parents[1] / "src" / "sansface" / "serve" / "page"
TYPES = {".js": "text/javascript", ".html": "text/html", ".css": "text/css"}
CHROMIUM = os.environ.get("SANSFACE_CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox",
    "--host-resolver-rules=MAP * ~NOTFOUND,EXCLUDE 127.0.0.1",
    "--disable-background-networking",
]

POLICY = (
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""The one that the service sends."""

HELPERS = """
globalThis.fileOf = async (name) => new File([await (await fetch('/files/' + name)).arrayBuffer()], name);
globalThis.base64 = (array) => {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  let text = '';
  for (let at = 0; at < bytes.length; at += 32768) {
    text += String.fromCharCode(...bytes.subarray(at, at + 32768));
  }
  return btoa(text);
};
globalThis.unpacked = (text, type) =>
  new type(Uint8Array.from(atob(text), (mark) => mark.charCodeAt(0)).buffer);
globalThis.refusal = async (act) => {
  try { await act(); return null; } catch (error) { return error.message; }
};
globalThis.newProtector = async () => {
  const { Protector } = await import('/page/protect/protector.js');
  return new Protector(() => new Worker('/page/protect/worker.js', { type: 'module' }));
};
globalThis.sameProtector = () => globalThis.protector ??= newProtector();
globalThis.frameOf = async ({ file, mask, camera, role, drawn }) => ({
  file: await fileOf(file), camera, role,
  mask: drawn ? { ...drawn, data: Uint8Array.from(drawn.data) } : mask && await fileOf(mask),
});
"""


class Browser:
    """A blank page that has the page's modules at /page/, its models at /models/, `files` at /files/.

    What it says on the console is in `said`, and fails the test unless it is taken out of there.
    """

    def __init__(self, page: Any, files: dict[str, bytes], said: list[str]) -> None:
        self.page, self.files, self.said = page, files, said

    def ask(self, body: str, **given: Any) -> Any:
        """What an asynchronous function of this body returns; it sees `given` by name."""
        names = ", ".join(given)
        return self.page.evaluate(f"async ({{{names}}}) => {{{body}}}", given)


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A browser on a blank page; whatever it says on the console fails the test."""
    api = pytest.importorskip("playwright.sync_api")
    if not Path(CHROMIUM).exists():
        pytest.skip("no Chromium (set SANSFACE_CHROMIUM)")
    files: dict[str, bytes] = {}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = unquote(self.path)
            data, kind = b"<!doctype html><title>test</title><link rel=icon href=data:,>", "text/html"
            if path.startswith("/page/"):
                file = PAGE / path.removeprefix("/page/")
                data, kind = file.read_bytes(), TYPES[file.suffix]
            elif path.startswith("/models/"):
                found = model_file(path.removeprefix("/models/"))
                if found is None:
                    self.send_error(404)
                    return
                data, kind = found
            elif path.startswith("/files/"):
                data, kind = files[path.removeprefix("/files/")], "application/octet-stream"
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            self.send_header("Content-Security-Policy", POLICY)
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    said: list[str] = []
    try:
        with api.sync_playwright() as play:
            browser = play.chromium.launch(executable_path=CHROMIUM, args=[*ARGUMENTS, *arguments])
            page = browser.new_page()
            page.on("console", lambda message: said.append(message.text))
            page.on("pageerror", lambda error: said.append(str(error)))
            page.add_init_script(HELPERS)
            page.goto(f"http://127.0.0.1:{server.server_port}/")
            yield Browser(page, files, said)
            browser.close()
    finally:
        server.shutdown()
        server.server_close()
    assert said == []


def array_of(text: str, dtype: Any, *shape: int) -> np.ndarray:
    """What `base64` in the page made of a typed array."""
    return np.frombuffer(base64.b64decode(text), dtype).reshape(shape or -1)


def text_of(array: np.ndarray) -> str:
    """For `unpacked` in the page."""
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode("ascii")
