"""What v1's operations on bills share: where they are, and the arguments that most of them take.

Source: CAKE's pages "ACCOUNTING …, API Version 1", which list each argument in this order.
"""

from typing import Final

from aiocake._operations.arguments import date_order
from aiocake._operations.parameters import Parameter, ParameterKind
from aiocake.models import BillingCycleName

SERVICE: Final = "/api/1/accounting.asmx"

BILL_ID: Final = Parameter(name="bill_id", kind=ParameterKind.ID, required=True)
INVOICE_NUMBER: Final = Parameter(
    name="invoice_number", kind=ParameterKind.TEXT, erasable=True, limit=50, sensitive=True
)
VERIFICATION_CODE: Final = Parameter(
    name="verification_code", kind=ParameterKind.TEXT, erasable=True, limit=50, sensitive=True
)
NOTES: Final = Parameter(
    name="notes", kind=ParameterKind.TEXT, erasable=True, limit=250, sensitive=True
)

EXPORTED: Final = (
    Parameter(
        name="billing_cycle", kind=ParameterKind.CHOICE, choices=BillingCycleName, required=True
    ),
    Parameter(name="billing_period_start_date", kind=ParameterKind.DATE, required=True),
    Parameter(name="billing_period_end_date", kind=ParameterKind.DATE, required=True),
)
IN_ORDER: Final = date_order("billing_period_start_date", "billing_period_end_date")

#: Of marking an advertiser's or a buyer's bill as sent.
SENT: Final = (
    BILL_ID,
    INVOICE_NUMBER,
    Parameter(name="date_sent_invoice", kind=ParameterKind.MODIFIED_DATE, erasable=True),
    NOTES,
)

#: Of marking an advertiser's or a buyer's bill as received, but for what follows the date.
RECEIVED: Final = (
    BILL_ID,
    Parameter(name="payment_amount", kind=ParameterKind.MONEY, required=True, sensitive=True),
    Parameter(name="payment_type_id", kind=ParameterKind.BYTE),
    INVOICE_NUMBER,
    VERIFICATION_CODE,
    Parameter(name="date_payment_received", kind=ParameterKind.MODIFIED_DATE, erasable=True),
)
