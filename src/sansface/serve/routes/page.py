"""The page and what it needs: the files that are in the package's own folder when the server starts."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import Response

from sansface.serve.models import MODEL_FILES, model_file
from sansface.serve.problems import Problem
from sansface.serve.standalone import standalone

FOLDER = Path(__file__).parents[1] / "page"
STANDALONE = "protect.html"
"""The page as one file, to be saved and opened from disk."""

_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mjs": "text/javascript; charset=utf-8",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".wasm": "application/wasm",
    ".woff2": "font/woff2",
}


@dataclass(frozen=True)
class Static:
    """A file as it is given out."""

    data: bytes
    kind: str

    @cached_property
    def digest(self) -> str:
        """SHA-256 in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()

    def answer(self, request: Request) -> Response:
        tag = f'"{self.digest}"'
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers=headers)
        return Response(self.data, headers=headers, media_type=self.kind)


def routes(folder: Path = FOLDER) -> APIRouter:
    """The page's routes for the files that are in the folder now."""
    files = {
        path.relative_to(folder).as_posix(): Static(path.read_bytes(), _TYPES[path.suffix])
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in _TYPES
    }
    alone = Static(standalone(), _TYPES[".html"])
    models = {name: Static(*found) for name in MODEL_FILES if (found := model_file(name)) is not None}
    router = APIRouter(include_in_schema=False)

    def static(known: dict[str, Static], name: str) -> Static:
        if name not in known:
            raise Problem(404, "There is nothing at this address.")
        return known[name]

    @router.get("/")
    def index(request: Request) -> Response:
        return static(files, "index.html").answer(request)

    @router.get("/page/{path:path}")
    def page_file(path: str, request: Request) -> Response:
        return static(files, path).answer(request)

    @router.get(f"/{STANDALONE}")
    def one_file(request: Request) -> Response:
        answer = alone.answer(request)
        answer.headers["Content-Disposition"] = f'attachment; filename="{STANDALONE}"'
        return answer

    @router.get(f"/{STANDALONE}.sha256")
    def one_file_digest() -> Response:
        line = f"{alone.digest}  {STANDALONE}\n"
        return Response(line, media_type="text/plain", headers={"Cache-Control": "no-cache"})

    @router.get("/models/{name}")
    def model(name: str, request: Request) -> Response:
        return static(models, name).answer(request)

    return router
