"""`/docs`: the API in a browser, by Swagger UI. All of it comes from the wheel, nothing from the internet."""

from pathlib import Path

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from regesta.errors import NotFound
from regesta.http import ProblemRoute

FOLDER = Path(__file__).parent / "swagger_ui"
PAGE = "index.html"
ASSETS = frozenset({"swagger-ui-bundle.js", "swagger-ui.css", "favicon-32x32.png", "start.js"})

# No script and no style within the page, and nothing from elsewhere. Swagger UI's own icons are `data:` images.
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


def documentation_router() -> APIRouter:
    """The page and its files; GET and HEAD."""
    router = APIRouter(route_class=ProblemRoute)
    files = StaticFiles(directory=FOLDER)

    async def page(request: Request) -> Response:
        return await _answer(files, PAGE, request)

    async def asset(request: Request, name: str) -> Response:
        if name not in ASSETS:
            raise NotFound("there is nothing at this path")
        return await _answer(files, name, request)

    for path, endpoint in (("/docs", page), ("/docs/{name}", asset)):
        router.add_api_route(path, endpoint, methods=["GET", "HEAD"], include_in_schema=False)
    return router


async def _answer(files: StaticFiles, name: str, request: Request) -> Response:
    response = await files.get_response(name, request.scope)
    response.headers["Content-Security-Policy"] = POLICY
    response.headers["Cache-Control"] = "no-cache"  # kept, but asked for again: an upgrade brings other files
    response.headers["Referrer-Policy"] = "same-origin"
    return response
