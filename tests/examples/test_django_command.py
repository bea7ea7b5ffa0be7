# ruff: noqa: ANN001 - the fixtures come from a conftest, whose types cannot be imported
"""The Django command, called as Django calls it: its ledger uses the connection of its thread."""

import io

import django
import pytest
from django.conf import settings
from django.core.management import CommandError, call_command
from django.db import connection

from aiocake.sandbox import Sandbox, serve

settings.configure(
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
)
django.setup()


def test_it_approves_a_month_and_records_each_write(example, tmp_path, monkeypatch) -> None:
    module = example("django_command")
    sandbox = Sandbox(invoices=60, period="2024-01")
    pending = {n for n, row in sandbox.state.invoices.items() if row.invoice_status == "pending"}
    journal = tmp_path / "january.db"
    with connection.cursor() as cursor:
        cursor.execute(module.TABLE)
    with serve(sandbox) as url:
        monkeypatch.setenv("CAKE_DOMAIN", url)
        monkeypatch.setenv("CAKE_API_KEY", "SANDBOX-KEY")
        said: list[str] = []
        for _ in range(2):  # the second time there is nothing left to do
            out = io.StringIO()
            call_command(module.Command(), "2024-01", str(journal), stdout=out)
            said.append(out.getvalue())
        with pytest.raises(CommandError, match="month"):
            call_command(module.Command(), "January", str(journal))
    approved = {n for n in pending if sandbox.state.invoices[n].invoice_status == "approved"}
    assert approved
    assert said == [f"{len(approved)} approved, 0 skipped\n"] * 2
    with connection.cursor() as cursor:
        cursor.execute("SELECT invoice, outcome FROM cake_writes")
        assert sorted(cursor.fetchall()) == [(n, "done") for n in sorted(approved)]
