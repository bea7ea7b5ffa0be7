"""Payouts as a step of DBOS, on SQLite: killed at any moment, each invoice is created once.

DBOS calls a step again if its process has ended before the result was recorded, so a bare create in
a step makes two invoices. A run with a journal may be called again: what was on its way is looked
up first. DBOS itself needs no server here::

    pip install aiocake dbos
    python dbos_payouts.py 2024-01 67890 67891

After a crash, start it again with the same words.
"""

import sys

from dbos import DBOS, SetWorkflowID

from aiocake import Client, Period, bulk


@DBOS.step(retries_allowed=True, max_attempts=5)
async def create_invoices(month: str, affiliates: list[int]) -> int:
    """Create the invoices that are missing; return how many the run has created."""
    days = Period.parse(month)
    # The client is opened in here, since DBOS runs steps on an event loop of its own.
    async with Client.from_env() as cake:
        create = cake.invoices.create
        summary = await bulk.carry(
            f"payouts-{month}.db",  # the run; DBOS has recorded the arguments, so the plan is too
            cake,
            calls=lambda: [
                bulk.call(create, affiliate_id=each, start_date=days.start, end_date=days.end)
                for each in affiliates
            ],
        )
    if not summary.complete:
        raise RuntimeError(f"not finished: {'; '.join(map(str, summary.problems))}")
    return summary.done


@DBOS.workflow()
async def pay_out(month: str, affiliates: list[int]) -> int:
    """Create the invoices of a month; steps that tell people about it may follow."""
    return await create_invoices(month, affiliates)


if __name__ == "__main__":
    database = "sqlite:///payouts.sqlite"
    DBOS(config={"name": "payouts", "system_database_url": database, "log_level": "WARNING"})
    DBOS.launch()  # workflows that a crash has cut off go on
    with SetWorkflowID(f"payouts-{sys.argv[1]}"):
        done = DBOS.start_workflow(pay_out, sys.argv[1], [int(each) for each in sys.argv[2:]])
    print(f"{done.get_result()} created")
    DBOS.destroy()
