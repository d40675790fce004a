"""GET /schema/swagger: the OpenAPI document as a page to try requests on, from installed files."""

from importlib.resources import files
from typing import Any

from litestar import Controller, MediaType, Request, Response, get
from litestar.exceptions import NotFoundException
from litestar.params import FromPath
from litestar.response import Redirect
from litestar.status_codes import HTTP_307_TEMPORARY_REDIRECT

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
<link rel="icon" href="../page/icon.svg">
<link rel="stylesheet" href="swagger/swagger-ui.css">
<script src="swagger/swagger-ui-bundle.js" defer></script>
<script src="../page/swagger.js" defer></script>
</head>
<body><div id="swagger-ui"></div></body>
</html>
"""


class OpenApiPageController(Controller):
    """The page loads nothing from another address, as the content security policy demands. Its
    addresses are relative: a proxy may offer the service below a prefix."""

    path = "/schema/swagger"
    include_in_schema = False
    opt = OPEN

    @get(sync_to_thread=False)
    def page(self, request: Request[Any, Any, Any]) -> Response[str]:
        if request.scope["raw_path"].endswith(b"/"):
            return Redirect(self.path, status_code=HTTP_307_TEMPORARY_REDIRECT)
        return Response(_PAGE, media_type=MediaType.HTML)

    @get("/{name:str}", sync_to_thread=False)
    def asset(self, name: FromPath[str]) -> Response[bytes]:
        if name not in _ASSETS:
            raise NotFoundException
        return Response(
            (files("swagger_ui") / "static" / name).read_bytes(),
            media_type=_ASSETS[name],
            headers={"Cache-Control": "no-cache"},
        )
