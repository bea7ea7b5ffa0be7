"""The client for code that is not asynchronous: scripts, notebooks, Django commands.

::

    with Client("yourdomain.cake.com", api_key=key) as cake:
        for invoice in cake.invoices.find(invoice_status="pending"):
            print(invoice.invoice_id, invoice.total_amount)
"""

from types import TracebackType
from typing import Self, Unpack, cast

from aiocake.blocking.ledger import CountingLedger
from aiocake.blocking.thread import ClientThread
from aiocake.blocking.views import ClientSettings, ClientView
from aiocake.blocking.waited_call import CLOSED
from aiocake.client import ApiKey
from aiocake.client import Client as AsyncClient
from aiocake.client import ClientSettings as AsyncClientSettings
from aiocake.errors import ClosedError


class Client(ClientView):
    """A client of one CAKE instance, whose methods wait for their results.

    Use it as ``with Client(...) as cake:``, or close it with :meth:`close`. Any number of threads
    may use it at once. It has a thread of its own, from its first call to its end, on which an
    asynchronous client makes the calls.

    Args:
        domain: As :class:`aiocake.Client` takes it.
        api_key: As there.
        **settings: As there. Callbacks (``on_event``, an ``api_key`` that is a function) run on the
            client's thread; the functions of ``ledger`` run on the thread that makes the call, and
            need not be asynchronous.

    Raises:
        ConfigurationError: Settings are bad; the message names each of them.
    """

    def __init__(self, domain: str, api_key: ApiKey, **settings: Unpack[ClientSettings]) -> None:
        self._begin(AsyncClient(domain, api_key, **_counted(settings)))

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
        made = cls.__new__(cls)
        made._begin(AsyncClient.from_env(profile=profile, **_counted(settings)))  # noqa: SLF001 - it is ours
        return made

    def _begin(self, client: AsyncClient) -> None:
        super().__init__(ClientThread(client), client)

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

        Can be called twice.

        Raises:
            WrongLoopError: This is the client's own thread.
        """
        self._thread.close()

    def __repr__(self) -> str:
        return f"<blocking.{repr(self._cake).removeprefix('<')}"

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError("a Client is not pickled: make one in each process")


def _counted(settings: ClientSettings) -> AsyncClientSettings:
    """Return the settings of the asynchronous client: its ledger counts the writes of a call."""
    ledger = settings.get("ledger")
    if ledger is None or all(callable(getattr(ledger, each, None)) for each in ("before", "after")):
        return cast("AsyncClientSettings", {**settings, "ledger": CountingLedger(ledger)})
    return cast("AsyncClientSettings", settings)  # which it refuses
