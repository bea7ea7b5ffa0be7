"""What type checkers make of the public names: checked by mypy and pyright, never run."""

from datetime import date
from typing import assert_type

from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.models import InvoiceStatus
from aiocake.values import Binding, Period

assert_type(Period.month(2024, 1), Period)
assert_type(Period.month(2024, 1).end, date)
assert_type(Period.month(2024, 1).exclusive_end, date)
assert_type(Binding("soap12"), Binding)
assert_type(InvoiceStatus("pending"), InvoiceStatus)
assert_type(Timeouts().total, float)
assert_type(Throttle().concurrency, int)
assert_type(RetryPolicy(), RetryPolicy)
