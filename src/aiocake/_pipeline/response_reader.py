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

    Attributes:
        applied_likely: Whether an answer that could not be read looked like one to a write that
            was carried out.
    """

    __slots__ = ("_check", "_decode", "applied_likely")

    def __init__(
        self,
        check: Callable[[Response], CakeError | None],
        decode: Callable[[Response, bool], T],
    ) -> None:
        self._check = check
        self._decode = decode
        self.applied_likely = False

    def check(self, response: Response) -> CakeError | None:
        """The error that an answer holds, or None when it is a success."""
        error = self._check(response)
        self._note(error, response)
        return error

    def read(self, response: Response, *, repeated: bool) -> tuple[list[T], CakeError | None]:
        """The value of a success in a list of one, or the error that reading it met."""
        try:
            return [self._decode(response, repeated)], None
        except CakeError as error:
            self._note(error, response)
            return [], error

    def _note(self, error: CakeError | None, response: Response) -> None:
        # Once one attempt was answered so, no later one makes it less likely.
        if isinstance(error, DecodeError) and codec.applied_likely(response):
            self.applied_likely = True
