"""The outcome of a call: of the whole call, not of its last attempt.

The first attempt may have been carried out and its response lost, while the second one is refused
or finds no connection: "not done" would be untrue. So a write ends in a verified response, in an
error that says it was not done, or in OutcomeUnknown; nothing else.
"""

import attrs

from aiocake._codec import codec
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
    if not _may_be_done(call, error):
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


def _may_be_done(call: CallState, error: CakeError) -> bool:
    """Return whether a write that failed may have been carried out.

    A look at the record changes nothing: what it meets says nothing of the attempts before it.
    """
    if call.ended_by_look:
        return call.maybe_done or (call.condition is not None and call.condition.in_doubt)
    return call.sent_before or (call.sent and not is_refusal(error))
