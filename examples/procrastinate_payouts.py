"""Payouts as a task of procrastinate, on PostgreSQL: a worker is killed, another one goes on.

procrastinate takes a job from a worker that has died, and anybody may give it to another one; the
job is then carried out a second time, at times beside the first. The run's journal, in the same
database, lets one worker at a time send, and looks up what was on its way::

    pip install 'aiocake[postgres]' procrastinate
    export PGHOST=db.example PGDATABASE=billing PGUSER=billing PGPASSFILE=/run/secrets/pgpass
    aiocake journal migrate --apply
    procrastinate --app=procrastinate_payouts.app schema --apply
    procrastinate --app=procrastinate_payouts.app worker

Defer it where you decide on payouts, with ``create_invoices.defer_async(month=…, affiliates=…)``.
"""

from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy

from aiocake import Client, Period, bulk
from aiocake.bulk.postgres import Postgres

app = App(connector=PsycopgConnector())
books = Postgres()


# The run is another worker's until its lease has ended: by default, 90 seconds after a kill.
@app.task(retry=RetryStrategy(max_attempts=20, wait=30))
async def create_invoices(month: str, affiliates: list[int]) -> None:
    """Create the invoices of a month that are missing."""
    days = Period.parse(month)
    async with Client.from_env() as cake:
        create = cake.invoices.create
        summary = await bulk.carry(
            books.run(f"payouts-{month}"),
            cake,
            calls=lambda: [
                bulk.call(create, affiliate_id=each, start_date=days.start, end_date=days.end)
                for each in affiliates
            ],
        )
    if not summary.complete:
        raise RuntimeError(f"not finished: {'; '.join(map(str, summary.problems))}")


@app.periodic(cron="* * * * *")
@app.task(pass_context=True, queueing_lock="retry_stalled")
async def retry_stalled(context: JobContext, timestamp: int) -> None:  # noqa: ARG001 - given by name
    """Give the jobs of workers that have died to others: procrastinate does not by itself."""
    for job in await context.app.job_manager.get_stalled_jobs():
        await context.app.job_manager.retry_job(job)
