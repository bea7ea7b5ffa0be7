"""Functions that other threads post to an event loop.

``call_soon_threadsafe`` does the same, but on Linux a counter of the kernel (``eventfd``) wakes the
loop for less: it needs one system call where the pipe of asyncio needs two, and what was posted
runs in the turn of the loop that it wakes, not in the next one.
"""

import asyncio
import os
import sys
from collections import deque
from collections.abc import Callable
from contextvars import Context, copy_context
from typing import final


@final
class PostedFunctions:
    """Runs functions on an event loop, in the order in which they were posted.

    Made on the thread of the loop. Whoever posts, and whoever closes it, holds the same lock.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._functions: deque[tuple[Context, Callable[[], object]]] = deque()
        self._counter = -1
        self._closed = False
        if sys.platform == "linux" and hasattr(os, "eventfd"):  # a libc may lack it
            self._counter = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            loop.add_reader(self._counter, self._run)

    def post(self, function: Callable[[], object]) -> bool:
        """Run a function soon, in a copy of the caller's context; return False if it is closed."""
        if self._closed:
            return False
        context = copy_context()
        if self._counter < 0:
            self._loop.call_soon_threadsafe(function, context=context)
        else:
            # In this order: what is interrupted between the two is run with the next one.
            self._functions.append((context, function))
            os.eventfd_write(self._counter, 1)
        return True

    def _run(self) -> None:
        os.eventfd_read(self._counter)
        try:
            for _ in range(len(self._functions)):  # what is posted meanwhile wakes the loop again
                context, function = self._functions.popleft()
                context.run(function)
        except BaseException:
            os.eventfd_write(self._counter, 1)
            raise

    def close(self) -> None:
        """Refuse what is posted from now on."""
        if not self._closed:
            self._closed = True
            if self._counter >= 0:
                self._loop.remove_reader(self._counter)
                os.close(self._counter)
