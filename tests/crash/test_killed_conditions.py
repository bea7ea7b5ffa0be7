"""A run of updates that expect something, killed in the middle: looked at when it is resumed."""

import os
import subprocess
import sys
import textwrap
from decimal import Decimal
from pathlib import Path

import anyio
import pytest

from aiocake import Client, bulk
from aiocake.sandbox import Sandbox, serve

CHILD = textwrap.dedent(
    """
    import sys
    from decimal import Decimal

    import anyio

    from aiocake import Client, Expect, Throttle, bulk

    url, journal, backend, *numbers = sys.argv[1:]

    async def run():
        async with Client(url, "SANDBOX-KEY", throttle=Throttle(concurrency=4)) as cake:
            expect = Expect(invoice_status="pending", total_amount=Decimal("7.00"))
            calls = [
                bulk.call(cake.invoices.update, int(n), invoice_status="approved", expect=expect)
                for n in numbers
            ]
            await bulk.each(calls, journal=journal)

    anyio.run(run, backend=backend)
    """
)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.parametrize("meanwhile", ["nothing", "voided", "paid"])
@pytest.mark.parametrize("carried_out", [True, False])
def test_what_was_on_its_way_is_looked_at(
    tmp_path: Path, backend: str, meanwhile: str, *, carried_out: bool
) -> None:
    """kill -9 when the twelfth update arrives; somebody sets half of the invoices before the rest.

    Of what had left, what is approved is done, what is pending is sent again, and all else is
    unknown. What had not left, and is another, is skipped.
    """
    sandbox = Sandbox(invoices=40)
    numbers = list(sandbox.state.invoices)
    for each in sandbox.state.invoices.values():
        each.invoice_status, each.total_amount = "pending", Decimal("7.00")
    path, children = tmp_path / "run.db", list[subprocess.Popen[bytes]]()
    left = 12

    def kill(request, *_: object) -> object:  # type: ignore[no-untyped-def] # noqa: ANN001
        nonlocal left
        if request.operation != "update_invoice":
            return None
        left -= 1
        if left == 0:
            children[0].kill()
        if left <= 0 and not carried_out:
            from starlette.responses import Response  # noqa: PLC0415

            return Response("gone", 502)
        return None

    (sandbox.state.on_response if carried_out else sandbox.state.on_request).append(kill)  # type: ignore[arg-type]
    with serve(sandbox) as url:
        arguments = [sys.executable, "-c", CHILD, url, str(path), backend, *map(str, numbers)]
        children.append(subprocess.Popen(arguments, env=dict(os.environ)))
        assert children[0].wait(60) == -9
    # No request of the killed run is left: one that came later would undo what is set now.
    sandbox.state.on_request.clear()
    sandbox.state.on_response.clear()
    with serve(sandbox, port=int(url.rpartition(":")[2])):
        changed = numbers[::2] if meanwhile != "nothing" else []
        approved = {n for n in numbers if sandbox.state.invoices[n].invoice_status == "approved"}
        for number in changed:
            sandbox.state.invoices[number].invoice_status = meanwhile.replace("voided", "void")
        sent_before = len([r for r in sandbox.state.requests if r.operation == "update_invoice"])
        assert sent_before >= 12

        async def resume() -> bulk.Summary:
            async with Client(url, "SANDBOX-KEY") as cake:
                return await bulk.resume(path, cake, settle=0)

        summary = anyio.run(resume, backend=backend)
    wanted = meanwhile.replace("voided", "void")
    for number in numbers:
        now = sandbox.state.invoices[number].invoice_status
        assert now == (wanted if number in changed else "approved")
    assert summary.done + summary.conflicts + summary.unknown == 40
    assert summary.failed == summary.unsent == 0
    if meanwhile == "nothing":
        assert summary.complete
    else:
        # What had ended before the kill is done, whatever was set since.
        assert summary.conflicts + summary.unknown <= len(changed)
        assert summary.conflicts >= len(changed) - len(approved) - 4
        assert summary.unknown <= 4
