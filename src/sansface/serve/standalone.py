"""The page as one static file, which makes the bundle from disk: whoever serves a page can change it.

The page's own ES modules are joined, each a function of its own that returns what it exports, in the order in
which they need each other. So the file holds the very code that the page runs, and the same sources give the
same bytes, whose SHA-256 docs/page.md publishes. Its policy lets those scripts run by their hashes, and no
connection at all.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from sansface.errors import SansfaceError

FOLDER = Path(__file__).parent / "page"
ENTRY = "standalone.js"
WORKER = "protect/worker.js"
WORKER_SOURCE = "worker_source.js"
"""The one module that is no file: the joined worker as a text, since a file on disk may load no other."""

_IMPORT = re.compile(r'^import \{([^}]*)\} from "(\.[^"]*)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:async )?(?:function\*?|class|const) (\w+))", re.MULTILINE)
_OTHER = re.compile(r"^(?:import|export)\b.*$|\bimport\.meta\b", re.MULTILINE)


def standalone() -> bytes:
    """The file, UTF-8 HTML.

    Raises:
        SansfaceError: a module has an import or export that cannot be joined, or is missing.
    """
    worker = json.dumps(_joined(WORKER, {})).replace("</", "<\\/")
    script = _joined(ENTRY, {WORKER_SOURCE: f"export const WORKER = {worker};\n"})
    style = _read("page.css")
    if "</script" in script.lower() or "</style" in style.lower():
        raise SansfaceError("the page's code would end its own element; write that text in another way.")
    policy = (
        f"default-src 'none'; script-src {_hash(script)}; style-src {_hash(style)}; img-src blob: data:; "
        "worker-src blob:; connect-src 'none'; base-uri 'none'; form-action 'none'"
    )
    html = _read("index.html")
    for tag, inline in (
        ('<meta charset="utf-8">', f'<meta http-equiv="Content-Security-Policy" content="{policy}">'),
        ('<link rel="stylesheet" href="page/page.css">', f"<style>{style}</style>"),
        ('<script type="module" src="page/main.js"></script>', f'<script type="module">{script}</script>'),
    ):
        if html.count(tag) != 1:
            raise SansfaceError(f"index.html does not have {tag} once; correct it or standalone.py.")
        html = html.replace(tag, f"{tag}\n{inline}" if tag.startswith("<meta") else inline)
    return html.encode("utf-8")


def _joined(entry: str, made: dict[str, str]) -> str:
    """A script of the module `entry` and all that it needs; made: sources of modules that are no files."""
    order: dict[str, str] = {}
    _visit(entry, made, order, ())
    number = {name: f"module_{index}" for index, name in enumerate(order)}
    parts = ['"use strict";']
    for name, source in order.items():
        wants = [
            f"const {{ {_renamed(words)} }} = {number[_resolved(name, path)]};"
            for words, path in _IMPORT.findall(source)
        ]
        gives = ", ".join(_EXPORT.findall(source))
        body = _EXPORT.sub("", _IMPORT.sub("", source)).strip("\n")
        head = f"// {name}\nconst {number[name]} = (() => {{"
        parts.append("\n".join([head, *wants, body, f"return {{ {gives} }};", "})();"]))
    return "\n".join(parts) + "\n"


def _visit(name: str, made: dict[str, str], order: dict[str, str], above: tuple[str, ...]) -> None:
    if name in above:
        raise SansfaceError(f"the page's modules need each other in a circle: {' → '.join((*above, name))}.")
    if name in order:
        return
    source = made[name] if name in made else _read(name)
    left = _EXPORT.sub("", _IMPORT.sub("", source))
    if found := _OTHER.search(left):
        raise SansfaceError(f"the page's {name} has {found.group()[:60]!r}, which cannot be joined.")
    for needed in _needed(name, source):
        _visit(needed, made, order, (*above, name))
    order[name] = source


def _needed(name: str, source: str) -> Iterator[str]:
    for _, path in _IMPORT.findall(source):
        yield _resolved(name, path)


def _resolved(name: str, path: str) -> str:
    parts: list[str] = []
    for part in (PurePosixPath(name).parent / path).parts:
        if part == "..":
            parts.pop()
        else:
            parts.append(part)
    return "/".join(parts)


def _renamed(words: str) -> str:
    """From what an import names to what a destructuring does: "a, b as c" to "a, b: c"."""
    return ", ".join(word.strip().replace(" as ", ": ") for word in words.split(",") if word.strip())


def _read(name: str) -> str:
    try:
        return (FOLDER / name).read_text(encoding="utf-8")  # line ends become \n, whatever the checkout has
    except OSError as error:
        raise SansfaceError(f"the page's file {name} is missing; install sansface again.") from error


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"
