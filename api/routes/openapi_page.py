"""GET /schema/swagger: the OpenAPI document as a page to try requests on, from installed files."""

from importlib.resources import files

from litestar import Controller, MediaType, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath

from api.middleware.access import OPEN

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
"""Of Swagger UI, as the package ``swagger-ui-py`` brings it."""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Grounded chest X-ray reports: API</title>
<link rel="icon" href="/page/icon.svg">
<link rel="stylesheet" href="/schema/swagger/swagger-ui.css">
<script src="/schema/swagger/swagger-ui-bundle.js" defer></script>
<script src="/page/swagger.js" defer></script>
</head>
<body><div id="swagger-ui"></div></body>
</html>
"""


class OpenApiPageController(Controller):
    """The page loads nothing from another address, as the content security policy demands."""

    path = "/schema/swagger"
    include_in_schema = False
    opt = OPEN

    @get(media_type=MediaType.HTML, sync_to_thread=False)
    def page(self) -> str:
        return _PAGE

    @get("/{name:str}", sync_to_thread=False)
    def asset(self, name: FromPath[str]) -> Response[bytes]:
        if name not in _ASSETS:
            raise NotFoundException
        return Response(
            (files("swagger_ui") / "static" / name).read_bytes(),
            media_type=_ASSETS[name],
            headers={"Cache-Control": "no-cache"},
        )
