"""A limiter whose calls a server accepts, until it asks for fewer."""

import anyio

from aiocake._transport.limiter import RequestLimiter


async def refuse_twice(turns: RequestLimiter) -> None:
    """Accept 20 calls, one after the other, and pause them; the same once more."""
    for _ in range(2):
        for _ in range(20):
            slot = await turns.acquire()
            assert isinstance(slot, int)
            began = anyio.current_time()
            await anyio.sleep(0.05)
            turns.on_response(slot, 200, throttled=False, accepted_since=began)
            turns.release(slot)
        turns.pause(1.0, since=anyio.current_time(), asked=False)
        await anyio.sleep(2)
