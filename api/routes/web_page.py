"""Serve the web page: the files below ``api/page/``."""

from pathlib import Path

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


class WebPageController(Controller):
    include_in_schema = False
    opt = OPEN

    @get("/", sync_to_thread=False, name="page")
    def page(self) -> Response[bytes]:
        return _file("index.html")

    @get("/page/{path:path}", sync_to_thread=False)
    def file(self, path: FromPath[Path]) -> Response[bytes]:
        return _file(path.as_posix().removeprefix("/"))


def _file(name: str) -> Response[bytes]:
    """Answer only names found below the folder: no path of a request ever reaches the disk."""
    files = {
        path.relative_to(_FOLDER).as_posix(): path
        for path in _FOLDER.rglob("*")
        if path.suffix in _MEDIA_TYPES
    }
    if name not in files:
        raise NotFoundException
    path = files[name]
    return Response(
        path.read_bytes(),
        media_type=_MEDIA_TYPES[path.suffix],
        headers={"Cache-Control": "no-cache"},
    )
