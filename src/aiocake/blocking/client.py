"""The client for code that is not asynchronous: scripts, notebooks, Django commands.

::

    with Client("yourdomain.cake.com", api_key=key) as cake:
        for invoice in cake.invoices.find(invoice_status="pending"):
            print(invoice.invoice_id, invoice.total_amount)
"""

from types import TracebackType
from typing import Self, Unpack, cast

from aiocake.blocking.ledger import counted
from aiocake.blocking.views import BaseClient, ClientSettings
from aiocake.blocking.waited_call import CLOSED
from aiocake.client import Client as AsyncClient
from aiocake.client import ClientSettings as AsyncClientSettings
from aiocake.errors import ClosedError


class Client(BaseClient):
    """A client of one CAKE instance, whose methods wait for their results.

    Use it as ``with Client(...) as cake:``, or close it with :meth:`close`. Any number of threads
    may use it at once. It has a thread of its own, from its first call to its end, on which an
    asynchronous client makes the calls.

    All arguments are those of :class:`aiocake.Client`, but the functions of ``ledger`` need not be
    asynchronous: they run on the thread that makes the call. Other callbacks, such as ``on_event``,
    run on the client's thread.

    Raises:
        ConfigurationError: Settings are bad; the message names each of them.
    """

    @classmethod
    def from_env(cls, *, profile: str | None = None, **settings: Unpack[ClientSettings]) -> Self:
        """Make a client from environment variables, and from a profile if one is named.

        Args:
            profile: As :meth:`aiocake.Client.from_env` takes it.
            **settings: Settings of :class:`Client`, by name.

        Returns:
            The client.

        Raises:
            ConfigurationError: As there.
        """
        passed = {**settings, "ledger": counted(settings.get("ledger"))}
        made = cls.__new__(cls)
        client = AsyncClient.from_env(profile=profile, **cast("AsyncClientSettings", passed))
        made._begin(client)  # noqa: SLF001 - it is ours
        return made

    def __enter__(self) -> Self:
        if self._thread.closed:
            raise ClosedError(CLOSED)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections, and end the thread; calls in flight end in errors.

        Can be called twice. In the middle of a call, as in a ledger or a signal handler, it does
        not wait for the end.

        Raises:
            WrongLoopError: This is the client's own thread.
        """
        self._thread.close()

    def __repr__(self) -> str:
        return f"<blocking.{repr(self._cake).removeprefix('<')}"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Client is not pickled: make one in each process")
