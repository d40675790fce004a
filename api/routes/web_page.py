"""Serve the web page: the files below ``api/page/``, read once.

The page names its files below their digest, so that a browser keeps them for good and asks for
none of them again until they change.
"""

import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Self

from litestar import Controller, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from api.middleware.access import OPEN

_FOLDER = Path(__file__).parent.parent / "page"
_MEDIA_TYPES = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
_KEPT = "public, max-age=31536000, immutable"
_DIGITS = 16


class WebPageController(Controller):
    include_in_schema = False
    opt = OPEN

    @get("/", sync_to_thread=False, name="page")
    def page(self) -> Response[bytes]:
        return _answer("index.html", "no-cache")

    @get("/page/{path:path}", sync_to_thread=False)
    def file(self, path: FromPath[Path]) -> Response[bytes]:
        name = path.as_posix().removeprefix("/")
        digest, _, rest = name.partition("/")
        if digest == _files().digest:
            return _answer(rest, _KEPT)
        return _answer(name, "no-cache")


@dataclass(frozen=True, kw_only=True)
class _Files:
    """The files by their names below the folder: no path of a request ever reaches the disk."""

    content: dict[str, bytes]
    digest: str

    @classmethod
    def read(cls, folder: Path) -> Self:
        content = {
            path.relative_to(folder).as_posix(): path.read_bytes()
            for path in sorted(folder.rglob("*"))
            if path.suffix in _MEDIA_TYPES
        }
        hashed = hashlib.sha256()
        for name, data in content.items():
            hashed.update(f"{name}:{len(data)}:".encode() + data)
        digest = hashed.hexdigest()[:_DIGITS]
        for kind in ("styles", "page.js"):
            own = content["index.html"].replace(
                f'"page/{kind}'.encode(), f'"page/{digest}/{kind}'.encode()
            )
            content["index.html"] = own
        return cls(content=content, digest=digest)


@cache
def _files() -> _Files:
    return _Files.read(_FOLDER)


def _answer(name: str, caching: str) -> Response[bytes]:
    content = _files().content
    if name not in content:
        raise NotFoundException
    return Response(
        content[name],
        media_type=_MEDIA_TYPES[Path(name).suffix],
        headers={"Cache-Control": caching},
    )
