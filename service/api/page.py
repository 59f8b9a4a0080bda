"""``GET /``: the web page, served from files of this package without third-party content."""

import hashlib
from functools import cache
from pathlib import Path
from typing import Final

from fastapi import APIRouter, Request, Response

from service.errors import RequestError

router = APIRouter()
_FOLDER: Final = Path(__file__).resolve().parents[1] / "page"
_MEDIA_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
# Scripts, styles, images and connections come from this service only; blob: is for previews of the selected files.
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS: Final = {
    "Content-Security-Policy": _POLICY,
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-cache",
}


@router.api_route("/", methods=["GET", "HEAD"], include_in_schema=False)
async def index(request: Request) -> Response:
    """Return the page."""
    return _file(request, "index.html")


@router.api_route("/page/{name}", methods=["GET", "HEAD"], include_in_schema=False)
async def page_file(request: Request) -> Response:
    """Return a file that the page uses."""
    return _file(request, request.path_params["name"])


def _file(request: Request, name: str) -> Response:
    file = _files().get(name)
    if file is None:
        raise RequestError("not_found", "the page has no file of this name")
    content, etag, media_type = file
    headers = _HEADERS | {"ETag": etag}
    if etag in [value.strip() for value in request.headers.get("if-none-match", "").split(",")]:
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=media_type)


@cache
def _files() -> dict[str, tuple[bytes, str, str]]:
    """Return the content, entity tag and media type of each file, by file name."""
    files = {}
    for path in _FOLDER.iterdir():
        if path.suffix in _MEDIA_TYPES:
            content = path.read_bytes()
            files[path.name] = content, f'"{hashlib.sha256(content).hexdigest()[:16]}"', _MEDIA_TYPES[path.suffix]
    return files
