"""What became of a call: of the whole call, not of its last attempt.

A first try can be carried out and its response be lost while the second is refused, or finds no
connection: "not done" would be untrue. So a write ends in a verified response, in an error that
says it was not done, or in OutcomeUnknown; nothing else.
"""

import attrs

from aiocake import _codec as codec
from aiocake._pipeline.call_state import CallState
from aiocake._pipeline.retry import is_refusal
from aiocake.errors import CakeError, Outcome, OutcomeUnknown


def verdict(call: CallState, error: CakeError) -> CakeError:
    """Return the error to raise for a call that failed.

    Args:
        call: The call, which has ended.
        error: What the last attempt met: the call's own error, or that of decoding its response.
    """
    error.operation = call.name
    intent = call.intent
    if intent is None:
        return error
    if not call.sent_before and (not call.sent or is_refusal(error)):
        error.outcome = Outcome.NOT_DONE
        return error
    unknown = OutcomeUnknown(
        f"{call.name} may have been carried out: {error}",
        intent=attrs.evolve(intent, attempts=call.attempts, at=call.left_at or intent.at),
        cause=error,
        applied_likely=call.applied_likely or any(map(codec.applied_likely, call.partial)),
    )
    error.outcome = Outcome.UNKNOWN
    unknown.operation = call.name
    return unknown
