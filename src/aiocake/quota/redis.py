"""A quota in Redis: one script, which Redis runs in one step and on its own clock.

redis-py's synchronous client asks it, in the thread that the client keeps for its store: it works
on asyncio and trio alike, and a response cannot be taken for that of another question.
"""

import math
from typing import Any, cast
from urllib.parse import urlsplit

from aiocake._normalize import Wanted, a_number, misfit
from aiocake.errors import ConfigurationError
from aiocake.quota.store import (
    KEPT_FOR,
    MEMBER_FOR,
    RECENT,
    RETURN_AFTER,
    SPAN,
    QuotaReply,
    QuotaRequest,
    QuotaUnavailable,
)

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ModuleNotFoundError as _error:
    _message = f"aiocake.quota.Redis: {_error.name} missing: pip install 'aiocake[redis]'"
    raise ModuleNotFoundError(_message, name=_error.name) from None

__all__ = ["Redis"]

#: Numbers are microseconds. A Lua number is a double, which holds them exactly for 200 years; its
#: own way to write one is not exact.
_SCRIPT = """
local time = redis.call('TIME')
local now = time[1] * 1e6 + time[2]
local fields = {'due', 'pauses', 'pause', 'refuse', 'status', 'version', 'learned',
                'admitted', 'span_admitted', 'span', 'back', 'last'}
local kept = redis.call('HMGET', KEYS[1], unpack(fields))
local row = {}
for place, field in ipairs(fields) do
    row[field] = field == 'learned' and (kept[place] or '') or tonumber(kept[place] or '0')
end
local turns, interval, slack = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local pause, refuse = tonumber(ARGV[4]), tonumber(ARGV[5])
if ARGV[7] == '1' then
    row.pause, row.refuse, row.pauses = 0, 0, row.pauses + 1
elseif pause > 0 or refuse > 0 then
    row.pause = math.max(row.pause, now + math.max(pause, refuse))
    if refuse > 0 then
        row.refuse = math.max(row.refuse, now + refuse)
        row.status = tonumber(ARGV[6])
    end
    row.pauses = row.pauses + 1
end
if ARGV[8] ~= '' and tonumber(ARGV[9]) == row.version then
    row.learned, row.version = ARGV[8], row.version + 1
end
row.admitted = row.admitted - tonumber(ARGV[10])
local away = 0
if ARGV[11] == '1' then
    if row.back <= now and now - row.last > tonumber(ARGV[12]) then
        row.back = now + tonumber(ARGV[13])
        row.due = math.max(row.due, row.back + slack)
    end
    away = math.max(row.back - now, 0)
    if away > 0 then turns = 0 end
end
local base = math.max(now, row.pause, row.back)
local due = math.max(row.due, base)
if turns > 0 then
    if now - row.span > tonumber(ARGV[14]) then
        row.span, row.span_admitted = now, row.admitted
    end
    row.due = due + turns * interval
    row.admitted = row.admitted + turns
    row.last = now
end
local write = {}
for _, field in ipairs(fields) do
    write[#write + 1] = field
    write[#write + 1] = field == 'learned' and row[field] or string.format('%.3f', row[field])
end
redis.call('HSET', KEYS[1], unpack(write))
redis.call('EXPIRE', KEYS[1], ARGV[17])
redis.call('ZADD', KEYS[2], now, ARGV[15])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now - tonumber(ARGV[16]))
redis.call('EXPIRE', KEYS[2], ARGV[17])
local function text(number) return string.format('%.3f', number) end
return {text(now), text(base - now), text(due - slack - now), text(row.pauses),
        text(math.max(row.pause - now, 0)), text(math.max(row.refuse - now, 0)),
        text(row.status), text(row.version),
        tonumber(ARGV[9]) == row.version and '' or row.learned,
        text(row.admitted), text(row.span_admitted), text(now - row.span),
        tostring(redis.call('ZCARD', KEYS[2])), text(away)}
"""
_MICRO = 1e6
_NAME: Wanted = (
    lambda value: isinstance(value, str) and value != "" and value.isprintable(),
    "the name of the quota, which all processes share",
)
_TIMEOUT: Wanted = a_number("a number of seconds, more than 0", least=math.ulp(0.0))


class Redis:
    """A quota in Redis, for ``Throttle(shared=…)``. It may serve several clients.

    Args:
        url: ``redis://``, ``rediss://`` (TLS) or ``unix://``, as redis-py takes them. A password in
            it is shown nowhere.
        name: The name of the quota: give all processes that share one API key the same.
        timeout: How long a response may take, in seconds, before the store counts as away.

    Raises:
        ConfigurationError: The URL or another argument cannot be used.
    """

    def __init__(self, url: str, *, name: str, timeout: float = 0.3) -> None:
        if reason := misfit(name, _NAME):
            raise ConfigurationError(f"name {reason}")
        if reason := misfit(timeout, _TIMEOUT):
            raise ConfigurationError(f"timeout {reason}")
        try:
            parts = urlsplit(url)
            self._redis: redis.Redis = cast("Any", redis.Redis).from_url(
                url,
                socket_timeout=timeout,
                socket_connect_timeout=timeout,
                # A question that was asked twice would reserve twice.
                retry=Retry(NoBackoff(), 0),
                decode_responses=True,
            )
        except (ValueError, TypeError, AttributeError):
            # Its text may repeat the URL, with the password in it.
            message = "url: must be redis://host:port/db, rediss://… or unix:///path"
            raise ConfigurationError(message) from None
        place = parts.path if parts.scheme == "unix" else parts.netloc.rpartition("@")[2]
        self.where: str = f"Redis at {place or 'localhost'}"
        self._name = name
        # In braces, so that a cluster keeps both keys on one node.
        self._keys = [f"{{aiocake:{name}}}:quota", f"{{aiocake:{name}}}:members"]
        # After SCRIPT FLUSH, or a restart, redis-py sends it once more.
        self._script = self._redis.register_script(_SCRIPT)

    def __repr__(self) -> str:
        return f"<aiocake.quota.Redis {self._name!r} in {self.where}>"

    def ask(self, request: QuotaRequest, /) -> QuotaReply:
        """Carry out a request. Called in the client's thread for its store.

        Args:
            request: The turns to reserve, and the news of the client.

        Raises:
            QuotaUnavailable: Redis is not there, is slow, or refuses.
        """
        arguments: list[str | int] = [
            request.turns,
            *(f"{seconds * _MICRO:.3f}" for seconds in _times_of(request)),
            request.status,
            int(request.end_pause),
            request.learned or "",
            request.version,
            request.refused,
            int(request.returning),
            *(int(seconds * _MICRO) for seconds in (RECENT, RETURN_AFTER, SPAN)),
            request.member,
            int(MEMBER_FOR * _MICRO),
            KEPT_FOR,
        ]
        try:
            reply = self._script(keys=self._keys, args=arguments)
        except (redis.RedisError, OSError) as error:
            raise QuotaUnavailable(f"{self.where}: {_reason(error)}") from None
        return _read(reply)

    def close(self) -> None:
        """Close idle connections. They are opened again when somebody asks."""
        # Over the others somebody else, who shares this, may be asking.
        self._redis.connection_pool.disconnect(inuse_connections=False)


def _times_of(request: QuotaRequest) -> tuple[float, float, float, float]:
    return request.interval, request.slack, request.pause, request.refuse


def _read(reply: list[str]) -> QuotaReply:
    now, base, due, pauses, pause, refuse, status, version = (float(text) for text in reply[:8])
    admitted, span_admitted, span, members, away = (float(text) for text in reply[9:])
    return QuotaReply(
        now=now / _MICRO,
        base=base / _MICRO,
        due=due / _MICRO,
        pauses=int(pauses),
        pause=pause / _MICRO,
        refuse=refuse / _MICRO,
        status=int(status),
        version=int(version),
        learned=reply[8] or None,
        admitted=int(admitted),
        span_admitted=int(span_admitted),
        span=span / _MICRO,
        members=int(members),
        away=away / _MICRO,
    )


def _reason(error: Exception) -> str:
    """Return why, without what redis-py repeats of the arguments."""
    if isinstance(error, redis.AuthenticationError):
        return "the user name or the password is wrong"
    if isinstance(error, redis.TimeoutError | TimeoutError):
        return "no response in time"
    if isinstance(error, redis.ResponseError):
        return f"it refuses: {str(error).partition(' ')[0]}"
    cause = error.__cause__ or error.__context__ or error
    return getattr(cause, "strerror", None) or type(error).__name__
