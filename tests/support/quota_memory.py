"""A quota in memory, for simulations: it passes the contract of the real ones."""

from collections.abc import Callable

from aiocake.quota import QuotaReply, QuotaRequest, QuotaUnavailable
from aiocake.quota.store import MEMBER_FOR, RECENT, RETURN_AFTER, SPAN


class MemoryQuota:
    """A store on a clock of its own.

    Args:
        clock: Returns the time in seconds.
    """

    where = "memory"

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        #: True while it cannot be reached.
        self.away = False
        self.asked = 0
        self.due = self.pause = self.refuse = self.back = self.last = self.span = 0.0
        self.pauses = self.status = self.version = self.admitted = self.span_admitted = 0
        self.learned: str | None = None
        self.members: dict[str, float] = {}

    def ask(self, request: QuotaRequest, /) -> QuotaReply:
        if self.away:
            raise QuotaUnavailable("memory: away")
        self.asked += 1
        now = self.clock()
        if request.end_pause:
            self.pause = self.refuse = 0.0
            self.pauses += 1
        elif request.pause or request.refuse:
            self.pause = max(self.pause, now + max(request.pause, request.refuse))
            if request.refuse:
                self.refuse, self.status = max(self.refuse, now + request.refuse), request.status
            self.pauses += 1
        if request.learned is not None and request.version == self.version:
            self.learned, self.version = request.learned, self.version + 1
        self.admitted -= request.refused
        turns, away = request.turns, 0.0
        if request.returning:
            if self.back <= now and now - self.last > RECENT:
                self.back = now + RETURN_AFTER
                self.due = max(self.due, self.back + request.slack)
            away = max(self.back - now, 0.0)
            turns = 0 if away else turns
        base = max(now, self.pause, self.back)
        due = max(self.due, base)
        if turns:
            if now - self.span > SPAN:
                self.span, self.span_admitted = now, self.admitted
            self.due = due + turns * request.interval
            self.admitted += turns
            self.last = now
        self.members[request.member] = now
        self.members = {one: at for one, at in self.members.items() if at > now - MEMBER_FOR}
        return QuotaReply(
            now=now,
            base=base - now,
            due=due - request.slack - now,
            pauses=self.pauses,
            pause=max(self.pause - now, 0.0),
            refuse=max(self.refuse - now, 0.0),
            status=self.status,
            version=self.version,
            learned=None if request.version == self.version else self.learned,
            admitted=self.admitted,
            span_admitted=self.span_admitted,
            span=now - self.span,
            members=len(self.members),
            away=away,
        )

    def close(self) -> None:
        """Nothing is open."""
