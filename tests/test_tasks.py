"""One-shot tasks: they keep their result, outlive their starter, and can be cancelled anywhere."""

import asyncio
import contextvars
import gc
import subprocess
import sys
import threading
import weakref

import anyio
import anyio.to_thread
import pytest
import trio
import trio.testing

from aiocake import _background
from aiocake._background import BackgroundTask, BackgroundTaskCancelled, clock

from .support.loops import anyio_backend  # noqa: F401 - runs on uvloop, too

pytestmark = pytest.mark.anyio


async def _give(value: int) -> int:
    await anyio.lowlevel.checkpoint()
    return value


class _Stuck:
    """A coroutine that waits for ever, and notes how it was left."""

    def __init__(self) -> None:
        self.begun = anyio.Event()
        self.left = anyio.Event()
        self.cleaned_up = False

    async def run(self) -> None:
        self.begun.set()
        try:
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                await anyio.lowlevel.checkpoint()
                self.cleaned_up = True
                self.left.set()


async def test_a_job_keeps_its_value_until_it_is_asked_for() -> None:
    job = BackgroundTask(_give(7))
    assert not job.done
    assert await job.result() == 7
    assert await job.result() == 7
    assert job.done


async def test_a_job_keeps_its_error_and_raises_it_when_asked() -> None:
    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise LookupError("no")

    job = BackgroundTask(fail())
    for _ in range(2):
        with pytest.raises(LookupError, match="no"):
            await job.result()


async def test_jobs_outlive_the_task_that_started_them() -> None:
    jobs = []

    async def starter() -> None:
        jobs.append(BackgroundTask(_give(1)))

    async with anyio.create_task_group() as group:
        group.start_soon(starter)
    assert await jobs[0].result() == 1


async def test_a_job_sees_the_context_of_its_starter() -> None:
    who = contextvars.ContextVar[str]("who", default="nobody")

    async def ask() -> str:
        return who.get()

    who.set("starter")
    job = BackgroundTask(ask())
    who.set("later")
    assert await job.result() == "starter"


async def test_cancel_lets_the_job_clean_up_and_is_no_cancellation_of_who_waits() -> None:
    stuck = _Stuck()
    job = BackgroundTask(stuck.run())
    await stuck.begun.wait()
    job.cancel()
    with pytest.raises(BackgroundTaskCancelled):
        await job.result()
    assert stuck.cleaned_up


async def test_a_second_cancel_does_not_break_off_the_clean_up() -> None:
    cleaned_up = False
    cleaning, begun = anyio.Event(), anyio.Event()

    async def run() -> None:
        nonlocal cleaned_up
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            with anyio.CancelScope(shield=True):
                cleaning.set()
                for _ in range(5):
                    await anyio.lowlevel.checkpoint()
                cleaned_up = True

    job = BackgroundTask(run())
    await begun.wait()
    job.cancel()
    await cleaning.wait()
    job.cancel()
    await job.aclose()
    assert cleaned_up


async def test_aclose_waits_for_the_end() -> None:
    stuck = _Stuck()
    job = BackgroundTask(stuck.run())
    await stuck.begun.wait()
    await job.aclose()
    assert job.done
    assert stuck.cleaned_up
    await job.aclose()


async def test_a_job_cancelled_before_its_first_step_ends_too() -> None:
    stuck = _Stuck()
    job = BackgroundTask(stuck.run())
    job.cancel()
    with pytest.raises(BackgroundTaskCancelled):
        await job.result()
    assert job.done


async def test_a_waiter_that_is_cancelled_leaves_the_job_running() -> None:
    stuck = _Stuck()
    job = BackgroundTask(stuck.run())
    with anyio.CancelScope() as scope:
        scope.cancel()
        await job.result()
    assert scope.cancelled_caught
    await stuck.begun.wait()
    assert not job.done
    await job.aclose()


async def test_cancel_from_another_thread() -> None:
    stuck = _Stuck()
    job = BackgroundTask(stuck.run())
    await stuck.begun.wait()
    await anyio.to_thread.run_sync(job.cancel)
    await stuck.left.wait()
    with pytest.raises(BackgroundTaskCancelled):
        await job.result()


async def test_cancel_after_the_end_does_nothing() -> None:
    job = BackgroundTask(_give(3))
    await job.result()
    job.cancel()
    assert await job.result() == 3


async def test_an_ended_job_holds_neither_its_task_nor_its_coroutine() -> None:
    coroutine = _give(1)
    gone = weakref.ref(coroutine)
    job = BackgroundTask(coroutine)
    del coroutine
    await job.result()
    await anyio.lowlevel.checkpoint()
    gc.collect()
    assert gone() is None
    assert not _background._running


async def test_an_error_in_a_group_with_the_cancellation_harms_nobody() -> None:
    begun = anyio.Event()

    async def clumsy() -> None:
        try:
            begun.set()
            await anyio.sleep_forever()
        finally:
            raise LookupError("while cleaning up")

    async def run() -> None:
        async with anyio.create_task_group() as group:
            group.start_soon(clumsy)
            await anyio.sleep_forever()

    job = BackgroundTask(run())
    await begun.wait()
    job.cancel()
    with pytest.raises((BackgroundTaskCancelled, ExceptionGroup)):
        await job.result()
    assert await BackgroundTask(_give(1)).result() == 1


def test_a_callback_that_ends_the_program_ends_it_on_trio_as_well() -> None:
    async def leave() -> None:
        await anyio.lowlevel.checkpoint()
        raise SystemExit(3)

    async def main() -> None:
        await BackgroundTask(leave()).result()

    with pytest.raises(SystemExit, match="3"):
        trio.run(main)


def test_a_loop_that_ends_takes_its_jobs_along_and_cancel_still_works() -> None:
    async def main() -> tuple[_Stuck, _background.BackgroundTask[None]]:
        stuck = _Stuck()
        job = BackgroundTask(stuck.run())
        await stuck.begun.wait()
        return stuck, job

    for backend in ("asyncio", "trio"):
        stuck, job = anyio.run(main, backend=backend)
        assert stuck.cleaned_up
        assert job.done
        job.cancel()


def test_a_closed_loop_is_not_called() -> None:
    loop = asyncio.new_event_loop()

    async def main() -> _background.BackgroundTask[None]:
        return BackgroundTask(anyio.sleep_forever())

    job = loop.run_until_complete(main())
    tasks = asyncio.all_tasks(loop)
    assert len(tasks) == 1
    try:
        loop.close()
        job.cancel()
        assert not job.done
    finally:
        (task,) = tasks
        task.get_coro().close()
        task._log_destroy_pending = False
        _background._running.clear()


def test_what_a_closed_loop_had_under_way_is_not_kept() -> None:
    closed = asyncio.new_event_loop()
    closed.set_exception_handler(lambda *_: None)  # it tells of a task that was pending

    async def main() -> weakref.ref[object]:
        waiting = anyio.sleep_forever()
        BackgroundTask(waiting)
        await anyio.lowlevel.checkpoint()
        return weakref.ref(waiting)

    gone = closed.run_until_complete(main())
    closed.close()

    async def elsewhere() -> int:
        return await BackgroundTask(_give(1)).result()

    assert asyncio.run(elsewhere()) == 1
    gc.collect()
    assert gone() is None


def test_a_loop_that_closes_while_another_thread_cancels() -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        job = BackgroundTask(anyio.sleep_forever())
        called = []

        def refuse(*_: object) -> None:
            called.append(1)
            raise RuntimeError("Event loop is closed")

        loop.call_soon_threadsafe, original = refuse, loop.call_soon_threadsafe  # type: ignore[method-assign] # stands for the race
        thread = threading.Thread(target=job.cancel)
        thread.start()
        thread.join()
        loop.call_soon_threadsafe = original  # type: ignore[method-assign] # and back
        assert called

    asyncio.run(main())


def test_trio_takes_no_job_when_its_run_is_over() -> None:
    refused = []

    class Last:
        """Started by trio at the very end: when the system nursery is closed."""

        def __init__(self) -> None:
            self.generator = self.run()

        async def run(self):  # noqa: ANN202 - an async generator for its clean-up alone
            try:
                yield 1
            finally:
                try:
                    BackgroundTask(_give(1))
                except RuntimeError as error:
                    refused.append(error)

    async def main() -> Last:
        last = Last()
        await anext(last.generator)
        return last

    trio.run(main)
    assert len(refused) == 1


if sys.version_info >= (3, 12):

    def test_an_eager_task_that_ends_at_once() -> None:
        async def at_once() -> int:
            return 5

        async def main() -> int:
            asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
            job = BackgroundTask(at_once())
            job.cancel()
            return await job.result()

        assert asyncio.run(main()) == 5


def test_trio_in_guest_mode_leaves_asyncio_tasks_to_asyncio() -> None:
    async def main() -> tuple[int, int]:
        loop = asyncio.get_running_loop()
        over = asyncio.Event()
        inside: list[int] = []

        async def on_trio() -> None:
            inside.append(await BackgroundTask(_give(1)).result())

        trio.lowlevel.start_guest_run(
            on_trio,
            run_sync_soon_threadsafe=loop.call_soon_threadsafe,
            done_callback=lambda _: over.set(),
        )
        outside = await BackgroundTask(_give(2)).result()
        await over.wait()
        return inside[0], outside

    assert asyncio.run(main()) == (1, 2)


async def test_the_clock_is_the_loops_and_is_read_from_anywhere() -> None:
    now = clock()
    before = anyio.current_time()
    assert before <= now() <= anyio.current_time()
    elsewhere = await anyio.to_thread.run_sync(now)
    assert before <= elsewhere <= anyio.current_time()


async def _now(clocks: list[float]) -> None:
    clocks.append(clock()())


def test_the_clock_of_simulated_time_is_simulated() -> None:
    clocks: list[float] = []
    mock = trio.testing.MockClock()
    mock.jump(7)
    trio.run(_now, clocks, clock=mock)
    assert clocks == [7.0]


def test_asyncio_needs_neither_trio_nor_sniffio() -> None:
    code = (
        "import asyncio, sys\n"
        "sys.modules.update(sniffio=None, trio=None)\n"
        "from aiocake._background import BackgroundTask\n"
        "async def give(): return 1\n"
        "async def main(): return await BackgroundTask(give()).result()\n"
        "assert asyncio.run(main()) == 1\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
