"""How the answer of one call is judged and read, and what was seen while that was done."""

from collections.abc import Callable
from typing import Generic, TypeVar

from aiocake import _codec as codec
from aiocake._messages import Response
from aiocake.errors import CakeError, DecodeError

T = TypeVar("T")


class Reading(Generic[T]):
    """The check and the decoder of one call.

    Args:
        check: The error that an answer holds, or None.
        decode: Reads a success; is told whether an attempt before may have been carried out.
        show_sensitive: Whether errors may show names, notes and amounts.

    Attributes:
        applied_likely: Whether an answer that could not be read looked like one to a write that
            was carried out.
    """

    __slots__ = ("_check", "_decode", "_reply", "_show_sensitive", "applied_likely")

    def __init__(
        self,
        check: Callable[[codec.Reply], CakeError | None],
        decode: Callable[[codec.Reply, bool], T],
        *,
        show_sensitive: bool = False,
    ) -> None:
        self._check = check
        self._decode = decode
        self._show_sensitive = show_sensitive
        #: Of the last answer that was judged: what is read is the last one.
        self._reply: codec.Reply | None = None
        self.applied_likely = False

    def check(self, response: Response) -> CakeError | None:
        """The error that an answer holds, or None when it is a success."""
        self._reply = codec.read_reply(response, show_sensitive=self._show_sensitive)
        error = self._check(self._reply)
        self._note(error, response)
        return error

    def read(self, response: Response, *, repeated: bool) -> tuple[list[T], CakeError | None]:
        """The value of a success in a list of one, or the error that reading it met."""
        reply = self._reply
        if reply is None or reply.response is not response:
            reply = codec.read_reply(response, show_sensitive=self._show_sensitive)
        try:
            return [self._decode(reply, repeated)], None
        except CakeError as error:
            self._note(error, response)
            return [], error

    def _note(self, error: CakeError | None, response: Response) -> None:
        # Once one attempt was answered so, no later one makes it less likely.
        if isinstance(error, DecodeError) and codec.applied_likely(response):
            self.applied_likely = True
