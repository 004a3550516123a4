"""The page as an ASGI application: on this machine alone, nothing stored, nothing from elsewhere."""

import pathlib
from collections.abc import AsyncGenerator, MutableMapping
from typing import Any

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from thaw.base.errors import InputError
from thaw.pictures.decoding import UnreadablePicture
from thaw.reporting.templates import render
from thaw.serving.answers import Answering
from thaw.serving.cards import Card

HERE = pathlib.Path(__file__).parent
HOSTS = ["127.0.0.1", "localhost"]  # any other name that leads here is a page of elsewhere, by rebinding of DNS
MOST_MEGABYTES = 20
MOST_BYTES = MOST_MEGABYTES * 10**6  # of a photo
ENVELOPE = 2**16  # bytes, of what a form adds to it
DISCARDED = 10 * MOST_BYTES  # read and forgotten of a body that is too large, so that its sender reads the answer
SHOWN = 8  # classes with a bar before a reader asks for the others

HEADERS = {
    "Content-Security-Policy": "default-src 'none'; img-src data:; style-src 'self'; script-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class TooLarge(Exception):
    """The body of a request has more bytes than a photo may have."""


class InMemory(MultiPartParser):
    """Reads a form without writing to the disk, however large its file, whose size the stream limits."""

    spool_max_size = MOST_BYTES + 2 * ENVELOPE


class Headers:
    """Middleware that gives every response HEADERS."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and the headers with what comes back."""

        async def send_with(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += [(name.lower().encode(), text.encode()) for name, text in HEADERS.items()]
            await send(message)

        await self.app(scope, receive, send_with)


def build_app(answering: Answering, card: Card) -> Starlette:
    """Return the application that shows what `answering` says of a photo, and the `card` of the network."""

    def show(status: int = 200, **values: object) -> Response:
        given = {"answer": None, "fault": None, "name": None, **values}
        page = render(HERE / "page.html.j2", card=card, most=MOST_BYTES, megabytes=MOST_MEGABYTES, shown=SHOWN, **given)
        return HTMLResponse(page, status)

    async def ask(request: Request) -> Response:
        return show()

    async def answer(request: Request) -> Response:
        try:
            name, content = await read_photo(request)
        except TooLarge:
            refusal = show(413, fault=f"The photo has more than {MOST_MEGABYTES} MB.")
            refusal.headers["Connection"] = "close"  # or what still comes would be read for ever
            return refusal
        except MultiPartException as error:
            return show(400, fault=f"The photo did not arrive: {error.message}")
        except ClientDisconnect:  # nobody reads the answer
            return Response(status_code=400)
        try:
            found = await run_in_threadpool(answering.answer, content)
        except UnreadablePicture as error:
            return show(415, fault=f"{name}: {error}")
        except (InputError, MemoryError) as error:
            return show(500, fault=f"{name}: {error or 'not enough memory'}")
        return show(answer=found, name=name)

    async def send_file(request: Request) -> Response:
        kind, file = {"/page.css": ("text/css", "page.css"), "/page.js": ("text/javascript", "page.js")}[
            request.url.path
        ]
        return Response((HERE / file).read_bytes(), media_type=kind)

    return Starlette(
        routes=[
            Route("/", ask, methods=["GET"]),
            Route("/", answer, methods=["POST"]),
            Route("/page.css", send_file),
            Route("/page.js", send_file),
        ],
        middleware=[
            Middleware(Headers),
            Middleware(TrustedHostMiddleware, allowed_hosts=HOSTS, www_redirect=False),
        ],
    )


async def read_photo(request: Request) -> tuple[str, bytes]:
    """Return (name, content) of the file `photo` in the form of a request, read in memory.

    Raises TooLarge for a photo of more than MOST_BYTES, MultiPartException where there is no such form or file.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise MultiPartException("it must come as a form, multipart/form-data")
    form = await InMemory(request.headers, _limit(request), max_files=1, max_fields=0).parse()
    try:
        photo = form.get("photo")
        if not isinstance(photo, UploadFile) or not photo.filename:
            raise MultiPartException("no file was chosen")
        content = await photo.read()
        if len(content) > MOST_BYTES:
            raise TooLarge
        return photo.filename, content
    finally:
        await form.close()


async def _limit(request: Request) -> AsyncGenerator[bytes, None]:
    """Yield the body of a request; raises TooLarge behind the first bytes that are too many."""
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
        if size <= MOST_BYTES + ENVELOPE:
            yield chunk
        elif size > DISCARDED:
            break
    if size > MOST_BYTES + ENVELOPE:
        raise TooLarge
