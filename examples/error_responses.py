"""One exception handler for all errors of aiocake: above all, it says whether to try again."""

import logging
import math
from http import HTTPStatus
from typing import Final

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

import aiocake

_log: Final = logging.getLogger("error_responses")
_BUSY: Final = HTTPStatus.SERVICE_UNAVAILABLE
#: For each class: the status, what is said, and seconds to wait. The first that fits counts.
_RESPONSES: Final[dict[type[aiocake.CakeError], tuple[HTTPStatus, str, float | None]]] = {
    aiocake.OutcomeUnknown: (HTTPStatus.BAD_GATEWAY, "It may have been done. Do not repeat.", None),
    # The queue is full (the throttle's max_waiting), above all; or CAKE cannot be reached.
    aiocake.NotSent: (_BUSY, "Nothing was done. Try again.", 1),
    aiocake.ClosedError: (_BUSY, "This server is shutting down.", 1),
    aiocake.RateLimited: (_BUSY, "CAKE takes no more calls now.", 60),
    # Too many calls, no permission, or a refused address: CAKE does not say which.
    aiocake.Restricted: (_BUSY, "CAKE refuses such calls now.", 60),
    # It names each bad argument, never its value.
    aiocake.ArgumentError: (HTTPStatus.UNPROCESSABLE_ENTITY, "Nothing was sent. {error}", None),
    aiocake.NotFound: (HTTPStatus.NOT_FOUND, "There is no such record.", None),
    aiocake.Conflict: (HTTPStatus.CONFLICT, "Nothing was done. {error}", None),
    aiocake.AlreadyExists: (HTTPStatus.CONFLICT, "Nothing was done. {error}", None),
    aiocake.RequestRejected: (HTTPStatus.CONFLICT, "CAKE says: {error}", None),
    aiocake.TipaltiError: (HTTPStatus.CONFLICT, "CAKE says: {error}", None),
    aiocake.DeadlineExceeded: (HTTPStatus.GATEWAY_TIMEOUT, "CAKE did not respond in time.", None),
    # These are this server's own, not its caller's.
    aiocake.AuthenticationError: (HTTPStatus.INTERNAL_SERVER_ERROR, "The key is refused.", None),
    aiocake.ConfigurationError: (HTTPStatus.INTERNAL_SERVER_ERROR, "Not configured.", None),
    aiocake.CakeError: (HTTPStatus.BAD_GATEWAY, "CAKE's response could not be used.", None),
}


def add_error_responses(app: FastAPI) -> None:
    """Have an application respond to each error of aiocake."""

    async def respond(_: Request, error: Exception) -> JSONResponse:
        assert isinstance(error, aiocake.CakeError)  # noqa: S101 - the only ones that come here
        response = response_of(error)
        if response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR:
            # The caller is not told what is wrong here. The text has no key, name or amount.
            _log.warning("%d: %s: %s", response.status_code, type(error).__name__, error)
        return response

    app.add_exception_handler(aiocake.CakeError, respond)


def response_of(error: aiocake.CakeError) -> JSONResponse:
    """Return the response for an error.

    Of a write, ``outcome`` says what became of it: ``"not_done"`` may be tried again;
    ``"unknown"`` must be looked at, by the id of its intent, which the ledger has.
    """
    found = (answer for kind, answer in _RESPONSES.items() if isinstance(error, kind))
    status, text, wait = next(found)
    content = {"error": text.format(error=error), "outcome": error.outcome}
    if isinstance(error, aiocake.OutcomeUnknown):
        content["intent"] = error.intent.id
        if isinstance(error.cause, aiocake.DeadlineExceeded):
            status = HTTPStatus.GATEWAY_TIMEOUT
    if isinstance(error, aiocake.RateLimited):
        wait = error.retry_after or wait
    headers = {} if wait is None else {"Retry-After": str(math.ceil(wait))}
    return JSONResponse(content, status, headers)
