"""One quota for many processes, in a store that all of them ask before they send.

CAKE counts the calls of a key, wherever they come from. A client's own throttle knows only what
that client sends: four processes with ``rate=10`` send 40 calls a second. With a store they share
one rate. They share what was learnt, too: when one process is told "Restricted", or to wait, all of
them hold back, and none has to find out again how many calls a second the instance accepts::

    from aiocake.quota import Redis

    throttle = Throttle(rate=20, shared=Redis("redis://localhost:6379/0", name="cake-key"))
    async with Client(domain, api_key=key, throttle=throttle) as cake:
        ...

Two stores are there: :class:`Redis` (the extra ``redis``), and PostgreSQL for those who keep their
journals in it (the extra ``postgres``)::

    books = Postgres()
    throttle = Throttle(rate=20, shared=books.pace("cake-key"))

Both keep one small record for a name and change it in one step, on the store's own clock, so that
clocks which differ do no harm. One question reserves the turns of all calls that wait in a process.
Within a process it stays first come, first served. A call that is cancelled after its turn was
reserved loses the turn.

When the store is away, each process goes on with its share of the rate: what was last known,
divided by the processes that were last seen, less a fifth. Until a store was reached for the first
time, nothing is known, so nothing is sent: the calls end in :class:`~aiocake.errors.NotSent`. When
the store is back, all processes return to it at the same moment.
"""

from typing import TYPE_CHECKING

from aiocake._lazy import lazily
from aiocake.quota.store import QuotaReply, QuotaRequest, QuotaStore, QuotaUnavailable

if TYPE_CHECKING:
    from aiocake.quota.redis import Redis

__all__ = ["QuotaReply", "QuotaRequest", "QuotaStore", "QuotaUnavailable", "Redis"]

# It is loaded when it is used: it is an extra.
if not TYPE_CHECKING:
    __getattr__, __dir__ = lazily(__name__, {"redis": ("Redis",)})
