"""A web backend: one client for all requests, deadlines below the browser's, honest responses.

    uvicorn --factory examples.web_backend:main        # with CAKE_DOMAIN and CAKE_API_KEY set

A handler is cancelled when its browser disconnects. A read ends at once. A write that was sent
gets a grace period to receive its response, and its outcome reaches ``on_event`` and the ledger
even though nobody waits for it any more.
"""

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus

import anyio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import aiocake
from aiocake import Client

Handler = Callable[[Request], Awaitable[Response]]


def while_connected(handler: Handler) -> Handler:
    """Cancel a handler when its browser disconnects, which Starlette does not do by itself.

    An error of CAKE becomes a response.
    """

    async def watched(request: Request) -> Response:
        await request.body()  # after the body, only a disconnect can come
        responses: list[Response] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                responses.append(await handler(request))
            except aiocake.CakeError as error:  # caught here: the group would wrap it
                responses.append(failed(error))
            group.cancel_scope.cancel()
        return responses[0] if responses else Response(status_code=HTTPStatus.NO_CONTENT)

    return watched


@while_connected
async def pending(request: Request) -> Response:
    """Return the pending invoices: all of them, or an error."""
    cake: aiocake.ClientView = request.state.cake
    async with cake.invoices.find(invoice_status="pending") as invoices:
        rows = [
            {"invoice_id": each.invoice_id, "total_amount": str(each.total_amount)}
            async for each in invoices
        ]
    return JSONResponse(rows)


@while_connected
async def approve(request: Request) -> Response:
    """Approve an invoice."""
    cake: aiocake.ClientView = request.state.cake
    number: int = request.path_params["invoice_id"]
    updated = await cake.invoices.update(number, invoice_status="approved")
    return JSONResponse({"invoice_id": number, "invoice_status": updated.invoice_status})


def failed(error: aiocake.CakeError) -> Response:
    """Return the response for an error. It says above all whether to try again."""
    match error:
        case aiocake.OutcomeUnknown():
            status, text = HTTPStatus.BAD_GATEWAY, "It may have been done. Do not repeat it."
            return JSONResponse({"error": text, "intent": error.intent.id}, status)
        case aiocake.NotSent():
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, "Nothing was done. Try again."
        case aiocake.ArgumentError():  # it names each bad argument, never its value
            status, text = HTTPStatus.UNPROCESSABLE_ENTITY, f"Nothing was sent. {error}"
        case aiocake.DeadlineExceeded():
            status, text = HTTPStatus.GATEWAY_TIMEOUT, "CAKE did not respond in time. Try again."
        case aiocake.NotFound():
            status, text = HTTPStatus.NOT_FOUND, "There is no such record."
        case aiocake.ApiError():
            status, text = HTTPStatus.CONFLICT, f"CAKE says: {error.message}"
        case _:
            status, text = HTTPStatus.BAD_GATEWAY, "CAKE's response could not be used."
    return JSONResponse({"error": text}, status)


def build(make: Callable[[], Client], *, total: float = 10.0) -> Starlette:
    """Return the application. One client lives from its start to its end.

    Args:
        make: Creates the client.
        total: Deadline of a call in seconds: about as long as a browser waits.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, aiocake.ClientView]]:
        async with make() as cake:
            # A person is waiting: rather refuse than queue for long.
            yield {"cake": cake.with_options(total=total, queue=2.0)}

    return Starlette(
        routes=[
            Route("/invoices", pending),
            Route("/invoices/{invoice_id:int}/approve", approve, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def main() -> Starlette:
    """Return the application for the instance that the environment names."""
    return build(Client.from_env)
