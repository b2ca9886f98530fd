"""`/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from worker.printable import printable


def create_app(
    registry: CollectorRegistry,
    *,
    why_not_ready: Callable[[], Awaitable[Sequence[str]]],
    before_scrape: Callable[[], Awaitable[None]],
) -> Starlette:
    """The pages. None takes longer than the time-outs of what it is given; `/livez` asks nobody."""

    async def livez(_request: Request) -> Response:
        # That it is answered at all says that the loop turns.
        return PlainTextResponse("alive\n")

    async def readyz(_request: Request) -> Response:
        reasons = await why_not_ready()
        if reasons:
            return PlainTextResponse("".join(f"{printable(reason)}\n" for reason in reasons), status_code=503)
        return PlainTextResponse("ready\n")

    async def metrics(request: Request) -> Response:
        await before_scrape()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return Starlette(routes=[Route("/livez", livez), Route("/readyz", readyz), Route("/metrics", metrics)])
