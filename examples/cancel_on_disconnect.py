"""An ASGI middleware: end the work for a caller who has gone, which Starlette and FastAPI do not.

A server says that the caller has gone by a message, ``http.disconnect``, which nobody reads while a
handler runs; so the handler would go on for nobody, and keep its turn at CAKE. Here somebody reads
it, and cancels the handler. aiocake passes that on: a read ends, a write that waits for its turn is
not sent, and a write that has left gets its grace and is recorded.
"""

import anyio
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class CancelOnDisconnect:
    """Cancel an application's work on a request whose caller disconnects before its response.

    What runs after the response, such as a background task, is not cancelled.

    Args:
        app: The application.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        responded = False
        errors: list[Exception] = []
        # One message ahead of the application: behind the body comes the disconnect.
        to_app, messages = anyio.create_memory_object_stream[Message](1)

        async def watch() -> None:
            while True:
                message = await receive()
                if message["type"] == "http.disconnect" and not responded:
                    group.cancel_scope.cancel()
                await to_app.send(message)

        async def respond(message: Message) -> None:
            nonlocal responded
            # A server reports the end of its response as a disconnect, too.
            responded = message["type"] == "http.response.body" and not message.get("more_body")
            await send(message)

        with to_app, messages:
            async with anyio.create_task_group() as group:
                group.start_soon(watch)
                try:
                    await self._app(scope, messages.receive, respond)
                except Exception as error:  # noqa: BLE001 - the group would wrap it in one of its own
                    errors.append(error)
                group.cancel_scope.cancel()
        if errors:
            raise errors[0]
