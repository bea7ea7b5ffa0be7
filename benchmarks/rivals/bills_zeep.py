"""zeep: the whole export into its objects, by CAKE's WSDL, over requests."""

import tempfile
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import zeep

from aiocake.sandbox.v1.service import wsdl
from benchmarks.harness.answers import KEY

LACKS = "Holds the whole body, its tree and all objects at once; is not async."


def bills(url: str, take: Callable[[Any], None]) -> None:
    """Read an export."""
    answer = _service(url).ExportAffiliateBills(
        api_key=KEY,
        billing_cycle="all",
        billing_period_start_date=datetime(2014, 6, 1),  # noqa: DTZ001 - CAKE knows no zones
        billing_period_end_date=datetime(2014, 6, 30),  # noqa: DTZ001 - the same
        paid_only=False,
        payment_type_id=0,
    )
    for bill in answer.affiliate_bills.affiliate_bill:
        assert isinstance(bill.bill_amount.amount, Decimal)
        take(bill)


@cache
def _service(url: str) -> Any:  # noqa: ANN401 - zeep makes its methods
    with tempfile.TemporaryDirectory() as folder:
        page = Path(folder) / "accounting.wsdl"
        page.write_bytes(bytes(wsdl("accounting", f"{url}/api/1/accounting.asmx").body))
        client = zeep.Client(str(page), settings=zeep.Settings(xml_huge_tree=True))
    return client.bind("accounting", "accountingSoap")
