"""An executor for whoever examines an instance: it writes nothing, and shows responses as they are.

It shares the connections, the throttle and the key of a client. The traits and the ledger of that
client are left aside: what is known of the instance is to be found out.
"""

from collections.abc import Callable
from typing import Final

import attrs

from aiocake._codec.reply import Reply
from aiocake._pipeline.call_codec import CallCodec
from aiocake._pipeline.call_state import AttemptState, CallState
from aiocake._pipeline.executor import CallExecutor, ReadResponse
from aiocake._transport import AuthorizedRequest, TransportFailure
from aiocake.config import RetryPolicy
from aiocake.errors import CakeError
from aiocake.traits import InstanceTraits

#: One attempt: a failure that passes is found, too, and no response leads to a pause of its own.
_ONE_ATTEMPT: Final = RetryPolicy(attempts=1, longest_pause=0)


class Examiner(CallExecutor):
    """Carries out the reads of an examination.

    ``raw`` returns each response as it came, whatever its status and whatever it says.

    Args:
        executor: That of the client.
        sent: Is called for each request that is sent.
    """

    def __init__(self, executor: CallExecutor, sent: Callable[[], None]) -> None:
        settings = attrs.evolve(
            executor.settings,
            read_only=True,
            ledger=None,
            retry=attrs.evolve(_ONE_ATTEMPT, draw=executor.settings.retry.draw),
            traits=InstanceTraits(),
        )
        super().__init__(executor.transport, settings, executor.emitter)
        self._codec = _AsItCame(settings, executor.transport, executor.emitter)
        self._sent = sent

    async def _send(
        self,
        call: CallState,
        attempt: AttemptState,
        authorized: AuthorizedRequest,
        read: ReadResponse,
    ) -> CakeError | TransportFailure | None:
        self._sent()
        return await super()._send(call, attempt, authorized, read)


class _AsItCame(CallCodec):
    """Finds no error in the response to a call without a method."""

    def error_in(self, call: CallState, reply: Reply) -> CakeError | None:
        return None if call.operation is None else super().error_in(call, reply)
