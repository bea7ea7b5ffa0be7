"""A web backend: one client for all requests, deadlines below the browser's, honest answers.

    uvicorn --factory examples.web_backend:main        # with CAKE_DOMAIN and CAKE_API_KEY set

A handler whose browser has gone is cancelled. A read ends with it at once. A write that has left is
given a grace, and what became of it is told to ``on_event`` and to the ledger, whoever is gone.
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

    An error of CAKE becomes an answer.
    """

    async def watched(request: Request) -> Response:
        await request.body()  # behind it comes nothing but the disconnection
        answers: list[Response] = []
        async with anyio.create_task_group() as group:

            async def watch() -> None:
                while (await request.receive())["type"] != "http.disconnect":
                    pass
                group.cancel_scope.cancel()

            group.start_soon(watch)
            try:
                answers.append(await handler(request))
            except aiocake.CakeError as error:  # caught here: the group would wrap it
                answers.append(failed(error))
            group.cancel_scope.cancel()
        return answers[0] if answers else Response(status_code=HTTPStatus.NO_CONTENT)

    return watched


@while_connected
async def pending(request: Request) -> Response:
    """The pending invoices: complete, or an error."""
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
    """What a browser is told: above all whether to try again."""
    match error:
        case aiocake.OutcomeUnknown():
            status, text = HTTPStatus.BAD_GATEWAY, "It may have been done. Do not repeat it."
            return JSONResponse({"error": text, "intent": error.intent.id}, status)
        case aiocake.NotSent():
            status, text = HTTPStatus.SERVICE_UNAVAILABLE, "Nothing was done. Try again."
        case aiocake.ArgumentError():  # it names each bad argument, and never its value
            status, text = HTTPStatus.UNPROCESSABLE_ENTITY, f"Nothing was sent. {error}"
        case aiocake.DeadlineExceeded():
            status, text = HTTPStatus.GATEWAY_TIMEOUT, "CAKE did not answer in time. Try again."
        case aiocake.NotFound():
            status, text = HTTPStatus.NOT_FOUND, "There is no such record."
        case aiocake.ApiError():
            status, text = HTTPStatus.CONFLICT, f"CAKE says: {error.message}"
        case _:
            status, text = HTTPStatus.BAD_GATEWAY, "CAKE's answer could not be used."
    return JSONResponse({"error": text}, status)


def build(make: Callable[[], Client], *, total: float = 10.0) -> Starlette:
    """The application, with one client from its start to its end.

    Args:
        make: Makes the client.
        total: Seconds that a call may take; a browser waits for about so long.
    """

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[dict[str, aiocake.ClientView]]:
        async with make() as cake:
            # Nobody wants to stand in a queue for long.
            yield {"cake": cake.with_options(total=total, queue=2.0)}

    return Starlette(
        routes=[
            Route("/invoices", pending),
            Route("/invoices/{invoice_id:int}/approve", approve, methods=["POST"]),
        ],
        lifespan=lifespan,
    )


def main() -> Starlette:
    """The application, for the instance that the environment names."""
    return build(Client.from_env)
