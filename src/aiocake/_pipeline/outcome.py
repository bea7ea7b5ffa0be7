"""What became of a call: of the whole call, not of its last attempt.

A first try can be carried out and its answer be lost while the second is refused, or finds no
connection: "not done" would be untrue. So a write ends in a verified answer, in an error that says
it was not done, or in OutcomeUnknown; nothing else.
"""

from aiocake._transport import CallResult, is_refusal
from aiocake.errors import CakeError, Intent, Outcome, OutcomeUnknown
from aiocake.values import Idempotency


def verdict(
    exchange: CallResult,
    error: CakeError,
    idempotency: Idempotency,
    intent: Intent,
    *,
    applied_likely: bool,
) -> CakeError:
    """The error that a call which met one ends in.

    Args:
        exchange: The facts of the attempts.
        error: What the last attempt met: the exchange's own error, or that of reading its answer.
        idempotency: What sending the call again does.
        intent: What was going to be written.
        applied_likely: Whether an answer that could not be read looked like one to a write that
            was carried out.
    """
    error.operation = intent.operation
    if idempotency is Idempotency.SAFE:
        return error
    if not exchange.sent_before and (not exchange.sent or is_refusal(error)):
        error.outcome = Outcome.NOT_DONE
        return error
    unknown = OutcomeUnknown(
        f"{intent.operation} may have been carried out: {error}",
        intent=intent,
        cause=error,
        applied_likely=applied_likely,
    )
    error.outcome = Outcome.UNKNOWN
    unknown.operation = intent.operation
    return unknown
