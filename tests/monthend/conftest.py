"""How large the month end is that is carried through by the commands."""

import pytest

#: In the default run; the session ``monthend`` takes more.
FEW = 300


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--month-end", type=int, default=FEW, help="how many invoices it has")
