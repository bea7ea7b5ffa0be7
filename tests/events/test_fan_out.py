# ruff: noqa: ANN001 - the stage comes from a conftest, whose types cannot be imported
"""One listener made of several: each hears of each event, whatever the others raise."""

import pytest

from aiocake import ConfigurationError, events
from aiocake.events import CallEnded, Event, Paused, fan_out, ignore

EVENT = Paused("invoices.find", 1.0)


class Raises:
    """A listener that raises an exception of its own."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __call__(self, event: Event) -> None:
        del event
        raise self.error


def test_each_listener_is_called_in_order() -> None:
    heard: list[tuple[str, Event]] = []
    listen = fan_out(
        lambda event: heard.append(("first", event)), lambda event: heard.append(("second", event))
    )
    listen(EVENT)
    assert heard == [("first", EVENT), ("second", EVENT)]


def test_without_listeners_there_are_no_events() -> None:
    assert fan_out() is fan_out(ignore, ignore) is ignore
    ignore(EVENT)


@pytest.mark.anyio
async def test_a_client_makes_no_events_for_who_ignores_them(stage) -> None:
    async with stage.client(stage.page, on_event=fan_out(ignore)) as cake:
        assert not cake._executor.emitter.enabled
        await cake.invoices.page()
    async with stage.client(stage.page, on_event=fan_out(ignore, stage.events.append)) as cake:
        await cake.invoices.page()
    assert len(stage.ends) == 1


def test_one_that_raises_does_not_keep_the_others_from_being_called() -> None:
    heard: list[Event] = []
    error = OSError("full")
    with pytest.raises(OSError, match="full") as caught:
        fan_out(Raises(error), heard.append)(EVENT)
    assert caught.value is error
    assert heard == [EVENT]


def test_what_several_raise_is_raised_as_a_group() -> None:
    heard: list[Event] = []
    errors = [OSError("full"), ValueError("odd")]
    with pytest.raises(ExceptionGroup) as caught:
        fan_out(Raises(errors[0]), heard.append, Raises(errors[1]))(EVENT)
    assert list(caught.value.exceptions) == errors
    assert heard == [EVENT]


def test_what_ends_the_process_goes_on_at_once() -> None:
    heard: list[Event] = []
    with pytest.raises(KeyboardInterrupt):
        fan_out(Raises(KeyboardInterrupt()), heard.append)(EVENT)
    assert heard == []


async def coroutine_function(event: Event) -> None:
    del event


@pytest.mark.parametrize("wrong", [coroutine_function, "listen", None])
def test_a_listener_that_cannot_be_called_is_refused(wrong) -> None:
    with pytest.raises(ConfigurationError, match="fan_out"):
        fan_out(lambda _: None, wrong)


@pytest.mark.anyio
async def test_a_client_logs_what_a_listener_raises_and_goes_on(stage, caplog) -> None:
    heard: list[Event] = []
    listen = events.fan_out(Raises(OSError("full")), heard.append)
    async with stage.client(stage.page, on_event=listen) as cake:
        await cake.invoices.page()
    assert isinstance(heard[-1], CallEnded)
    assert {record.message for record in caplog.records if record.name == "aiocake"} == {
        "on_event raised an exception; the call continues"
    }
