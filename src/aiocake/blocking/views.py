"""The blocking client's methods, written by ``python tools/blocking.py``.

They are those of the asynchronous client: change those, then run it again.
"""

import ssl
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Concatenate, Final, ParamSpec, TypedDict, TypeVar

from aiocake import bulk
from aiocake._codec.raw_response import Json, RawResponse, RawValue
from aiocake._httpx import AsyncBaseTransport
from aiocake._pipeline.settings import ClientStats
from aiocake.blocking.ledger import Ledger, counted
from aiocake.blocking.readers import ExportedBills, Pager
from aiocake.blocking.runs import Group, asked, made, method_of, notifier, read
from aiocake.blocking.thread import ClientThread
from aiocake.bulk import Call, Ended, OnConflict, OnExisting, PlanIdentity, Progress, Stop, Summary
from aiocake.bulk.journal_store import JournalPath
from aiocake.bulk.options import NO_CONFLICTS
from aiocake.client import ApiKey
from aiocake.client import Client as AsyncClient
from aiocake.client import ClientView as AsyncClientView
from aiocake.config import RetryPolicy, Throttle, Timeouts
from aiocake.endpoints.advertiser_bills import AdvertiserBills as AsyncAdvertiserBills
from aiocake.endpoints.affiliate_bills import AffiliateBills as AsyncAffiliateBills
from aiocake.endpoints.buyer_bills import BuyerBills as AsyncBuyerBills
from aiocake.endpoints.invoices import Invoices as AsyncInvoices
from aiocake.endpoints.reference import Reference as AsyncReference
from aiocake.errors import CakeError
from aiocake.events import OnEvent
from aiocake.models import (
    AccountStatus,
    AdvertiserBill,
    AffiliateBill,
    BillingCycle,
    BillingCycleName,
    BillingCycleText,
    BuyerBill,
    CreatedInvoice,
    Currency,
    ExchangeRate,
    Expect,
    Invoice,
    InvoiceStatus,
    InvoiceStatusText,
    MarkResult,
    Page,
    PaymentMethod,
    PaymentSetting,
    PaymentType,
    UpdatedInvoice,
)
from aiocake.traits import InstanceTraits
from aiocake.values import ANY, SKIP, Any_, Binding, Erase, Period, PeriodMatch, Skip

P = ParamSpec("P")
T = TypeVar("T")

_STOP: Final = Stop()


class Invoices(Group[AsyncInvoices]):
    """``cake.invoices``: find, read, create and update the invoices of an instance."""

    def find(
        self,
        *,
        affiliate_id: int | Skip = SKIP,
        advertiser_id: int | Skip = SKIP,
        invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP,
        period: Period | Skip = SKIP,
        match: PeriodMatch = "inside",
        longest: timedelta | Skip = SKIP,
        start_date: date | Skip = SKIP,
        end_date: date | Skip = SKIP,
        row_limit: int | Skip = SKIP,
    ) -> Pager[Invoice]:
        """List every invoice that matches, paged concurrently, in order: complete, or it raises.

        Collect before you write: to approve pending invoices while paging through the pending
        ones takes rows out of the list that is being read.

        CAKE's own filter, which ``match="inside"`` uses, finds only invoices whose whole period
        lies inside of the one that is asked for. An invoice of a week that crosses the border of
        two months is in neither month. To get each invoice in exactly one month, use
        ``match="ends_in"``.

        Args:
            affiliate_id: Only payout invoices of this affiliate.
            advertiser_id: Only revenue invoices of this advertiser.
            invoice_status: Only invoices of this status.
            period: Only invoices whose own period matches this one.
            match: How an invoice's period has to match: lie ``"inside"`` of ``period`` from its
                first to its last day; share a day with it (``"overlaps"``); or have its last day
                in it (``"ends_in"``). The last two are decided by the client, which has to read
                more: for ``"ends_in"`` all invoices that end on or before the last day, for
                ``"overlaps"`` those of all time.
            longest: The longest period that an invoice can have, if you are sure of it: fewer
                invoices are read then for ``"overlaps"`` and ``"ends_in"``.
            start_date: Only invoices whose period starts on or after this day.
            end_date: Only invoices whose period ends on or before this day.
            row_limit: Rows a page, 1 to 10,000; by default 100, or 1,000 for ``"overlaps"`` and
                ``"ends_in"``, and more when the list changes while it is read. One more is asked
                for where that is allowed, so that neighbouring pages share a row by which a
                changed list is noticed.

        Returns:
            A list for ``with`` and ``for``, ``.collect()`` and ``.pages()``.
            Nothing is sent until the first row is read. Of ``"overlaps"`` and ``"ends_in"``,
            pages hold the invoices that match, and their ``total_rows`` is None.

        Raises:
            ArgumentError: An argument cannot be sent; at once, before any reading.
            ListChanged: While reading: the list kept changing.
            ConsistencyError: While reading: a row does not match the filters, or its period is
                longer than ``longest``.
            DecodeError: While reading: a response cannot be read, or an invoice lacks the date
                that decides whether it matches.
            CakeError: While reading: CAKE refused a call, or no readable response came.
        """
        return Pager(
            self._thread,
            self._group.find(
                affiliate_id=affiliate_id,
                advertiser_id=advertiser_id,
                invoice_status=invoice_status,
                period=period,
                match=match,
                longest=longest,
                start_date=start_date,
                end_date=end_date,
                row_limit=row_limit,
            ),
        )

    def page(
        self,
        *,
        affiliate_id: int | Skip = SKIP,
        advertiser_id: int | Skip = SKIP,
        invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP,
        period: Period | Skip = SKIP,
        start_date: date | Skip = SKIP,
        end_date: date | Skip = SKIP,
        start_at_row: int | Skip = SKIP,
        row_limit: int = 100,
    ) -> Page[Invoice]:
        """Fetch one page, in exactly one request, as the server returns it, without checks.

        Args:
            affiliate_id: As in :meth:`find`.
            advertiser_id: As in :meth:`find`.
            invoice_status: As in :meth:`find`.
            period: As in :meth:`find`.
            start_date: As in :meth:`find`.
            end_date: As in :meth:`find`.
            start_at_row: The first row's offset; by default the first there is. Some instances
                count from 1.
            row_limit: Rows at most, 1 to 10,000; an instance may return fewer.

        Returns:
            The page.

        Raises:
            ArgumentError: An argument cannot be sent.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(
            self._group.page,
            affiliate_id=affiliate_id,
            advertiser_id=advertiser_id,
            invoice_status=invoice_status,
            period=period,
            start_date=start_date,
            end_date=end_date,
            start_at_row=start_at_row,
            row_limit=row_limit,
        )

    def get(self, invoice_id: int) -> Invoice:
        """Fetch one invoice.

        Args:
            invoice_id: The invoice.

        Returns:
            The invoice.

        Raises:
            NotFound: There is no such invoice.
            ConsistencyError: The instance sent another one, or none and says that there is one.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.get, invoice_id)

    def create(
        self, *, affiliate_id: int, start_date: date, end_date: date, memo: str | Skip = SKIP
    ) -> CreatedInvoice:
        """Create an invoice; CAKE computes its total. Never sent twice: that would make two.

        Args:
            affiliate_id: The affiliate to pay.
            start_date: The first day of its period.
            end_date: The last day of its period, included.
            memo: A note.

        Returns:
            The new invoice.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The invoice may have been created.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.create,
            affiliate_id=affiliate_id,
            start_date=start_date,
            end_date=end_date,
            memo=memo,
        )

    def update(
        self,
        invoice_id: int,
        *,
        invoice_status: InvoiceStatus | InvoiceStatusText | Skip = SKIP,
        memo: str | Skip = SKIP,
        paid_at: datetime | Skip = SKIP,
        expect: Expect | Skip = SKIP,
    ) -> UpdatedInvoice:
        """Set an invoice's status, note or time of payment. Approving and paying move money.

        With ``expect``, the invoice is read right before, and again before a further attempt if
        one before may have been carried out. CAKE itself has no conditional update: what somebody
        does in the moment between that look and the update is not seen.

        Args:
            invoice_id: The invoice.
            invoice_status: Its new status.
            memo: Its new note; ``""`` is sent as it is.
            paid_at: When it was paid, with a time zone; only with status ``"paid"``.
            expect: What the invoice has to be for the update to be sent.

        Returns:
            The invoice's id, and what was set where the instance says so. Where the response to an
            attempt was lost, and the invoice is found as the update leaves it, what was read.

        Raises:
            ArgumentError: An argument cannot be sent, or nothing is set.
            Conflict: The invoice is not as expected; nothing was sent.
            NotFound: There is no such invoice.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The invoice may have been set.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.update,
            invoice_id,
            invoice_status=invoice_status,
            memo=memo,
            paid_at=paid_at,
            expect=expect,
        )


class AffiliateBills(Group[AsyncAffiliateBills]):
    """``cake.affiliate_bills``: what the platform owes affiliates, received and paid."""

    def export(
        self,
        *,
        billing_cycle: BillingCycleName | BillingCycleText = "all",
        period: Period | Skip = SKIP,
        billing_period_start_date: date | Skip = SKIP,
        billing_period_end_date: date | Skip = SKIP,
        paid_only: bool = False,
        payment_type_id: int | Any_ = ANY,
    ) -> ExportedBills[AffiliateBill]:
        """Export the bills of a billing period, each as soon as it has arrived.

        Args:
            billing_cycle: Only bills of this cycle.
            period: The billing period.
            billing_period_start_date: Its first day, in place of ``period``.
            billing_period_end_date: The day after its last, as v1 takes it.
            paid_only: Only bills that are paid.
            payment_type_id: Only bills paid by this type, 1 to 255.

        Returns:
            Bills for ``with`` and ``for``, and ``.collect()``. Nothing is sent before
            one of them begins. In the block of ``with``, ``.success``, ``.message`` and
            ``.row_count`` are known before the first bill.

        Raises:
            ArgumentError: An argument cannot be sent.
            ApiError: Once it is sent: CAKE refused the export, and no bill was read.
            DecodeError: While reading: a body that was cut short, after the bills that came;
                ``.rows_read`` says how many.
            DeadlineExceeded: While reading: not all came in time; the bills that came were read.
        """
        return ExportedBills(
            self._thread,
            self._group.export(
                billing_cycle=billing_cycle,
                period=period,
                billing_period_start_date=billing_period_start_date,
                billing_period_end_date=billing_period_end_date,
                paid_only=paid_only,
                payment_type_id=payment_type_id,
            ),
        )

    def mark_received(
        self,
        bill_id: int,
        *,
        invoiced_amount: Decimal | int,
        date_invoice_received: date | Skip | Erase = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as received: the affiliate's own invoice has come.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            invoiced_amount: The amount on the affiliate's invoice; no value keeps the old one.
            date_invoice_received: When it came.
            invoice_number: Its number, of at most 50 UTF-16 units.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether the bill was marked for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            TipaltiError: The affiliate is paid through Tipalti.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.mark_received,
            bill_id,
            invoiced_amount=invoiced_amount,
            date_invoice_received=date_invoice_received,
            invoice_number=invoice_number,
            notes=notes,
        )

    def mark_paid(
        self,
        bill_id: int,
        *,
        payment_date: date,
        payment_type_id: int | Skip = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        verification_code: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as paid.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            payment_date: When it was paid.
            payment_type_id: How it was paid, 1 to 255; ids differ between instances.
            invoice_number: The number of the affiliate's invoice, of at most 50 UTF-16 units.
            verification_code: The code of the payment, of at most 50 UTF-16 units.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether a payment was recorded for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            TipaltiError: The affiliate is paid through Tipalti.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.mark_paid,
            bill_id,
            payment_date=payment_date,
            payment_type_id=payment_type_id,
            invoice_number=invoice_number,
            verification_code=verification_code,
            notes=notes,
        )


class AdvertiserBills(Group[AsyncAdvertiserBills]):
    """``cake.advertiser_bills``: what advertisers owe the platform, sent and received."""

    def export(
        self,
        *,
        billing_cycle: BillingCycleName | BillingCycleText = "all",
        period: Period | Skip = SKIP,
        billing_period_start_date: date | Skip = SKIP,
        billing_period_end_date: date | Skip = SKIP,
    ) -> ExportedBills[AdvertiserBill]:
        """Export the bills of a billing period, each as soon as it has arrived.

        Args:
            billing_cycle: Only bills of this cycle.
            period: The billing period.
            billing_period_start_date: Its first day, in place of ``period``.
            billing_period_end_date: The day after its last, as v1 takes it.

        Returns:
            Bills for ``with`` and ``for``, and ``.collect()``. Nothing is sent before
            one of them begins. In the block of ``with``, ``.success``, ``.message`` and
            ``.row_count`` are known before the first bill.

        Raises:
            ArgumentError: An argument cannot be sent.
            ApiError: Once it is sent: CAKE refused the export, and no bill was read.
            DecodeError: While reading: a body that was cut short, after the bills that came;
                ``.rows_read`` says how many.
            DeadlineExceeded: While reading: not all came in time; the bills that came were read.
        """
        return ExportedBills(
            self._thread,
            self._group.export(
                billing_cycle=billing_cycle,
                period=period,
                billing_period_start_date=billing_period_start_date,
                billing_period_end_date=billing_period_end_date,
            ),
        )

    def mark_sent(
        self,
        bill_id: int,
        *,
        date_sent_invoice: date | Skip | Erase = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark the bill's invoice as sent to the partner who has to pay.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            date_sent_invoice: When it was sent.
            invoice_number: Its number, of at most 50 UTF-16 units.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether the bill was marked for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.mark_sent,
            bill_id,
            date_sent_invoice=date_sent_invoice,
            invoice_number=invoice_number,
            notes=notes,
        )

    def mark_received(
        self,
        bill_id: int,
        *,
        payment_amount: Decimal | int,
        payment_type_id: int | Skip = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        verification_code: str | Skip | Erase = SKIP,
        date_payment_received: date | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as received: the advertiser's payment has come.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            payment_amount: The amount that came; no value keeps the old one.
            payment_type_id: How it was paid, 1 to 255; ids differ between instances.
            invoice_number: The number of the invoice, of at most 50 UTF-16 units.
            verification_code: The code of the payment, of at most 50 UTF-16 units.
            date_payment_received: When it came.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, whether the bill was marked for the first time, and the amounts of
            payment and bill where the instance sends them.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.mark_received,
            bill_id,
            payment_amount=payment_amount,
            payment_type_id=payment_type_id,
            invoice_number=invoice_number,
            verification_code=verification_code,
            date_payment_received=date_payment_received,
            notes=notes,
        )


class BuyerBills(Group[AsyncBuyerBills]):
    """``cake.buyer_bills``: what buyers owe the platform, sent and received."""

    def export(
        self,
        *,
        billing_cycle: BillingCycleName | BillingCycleText = "all",
        period: Period | Skip = SKIP,
        billing_period_start_date: date | Skip = SKIP,
        billing_period_end_date: date | Skip = SKIP,
    ) -> ExportedBills[BuyerBill]:
        """Export the bills of a billing period, each as soon as it has arrived.

        Args:
            billing_cycle: Only bills of this cycle.
            period: The billing period.
            billing_period_start_date: Its first day, in place of ``period``.
            billing_period_end_date: The day after its last, as v1 takes it.

        Returns:
            Bills for ``with`` and ``for``, and ``.collect()``. Nothing is sent before
            one of them begins. In the block of ``with``, ``.success``, ``.message`` and
            ``.row_count`` are known before the first bill.

        Raises:
            ArgumentError: An argument cannot be sent.
            ApiError: Once it is sent: CAKE refused the export, and no bill was read.
            DecodeError: While reading: a body that was cut short, after the bills that came;
                ``.rows_read`` says how many.
            DeadlineExceeded: While reading: not all came in time; the bills that came were read.
        """
        return ExportedBills(
            self._thread,
            self._group.export(
                billing_cycle=billing_cycle,
                period=period,
                billing_period_start_date=billing_period_start_date,
                billing_period_end_date=billing_period_end_date,
            ),
        )

    def mark_sent(
        self,
        bill_id: int,
        *,
        date_sent_invoice: date | Skip | Erase = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark the bill's invoice as sent to the partner who has to pay.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            date_sent_invoice: When it was sent.
            invoice_number: Its number, of at most 50 UTF-16 units.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, and whether the bill was marked for the first time.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.mark_sent,
            bill_id,
            date_sent_invoice=date_sent_invoice,
            invoice_number=invoice_number,
            notes=notes,
        )

    def mark_received(
        self,
        bill_id: int,
        *,
        payment_amount: Decimal | int,
        payment_type_id: int | Skip = SKIP,
        invoice_number: str | Skip | Erase = SKIP,
        verification_code: str | Skip | Erase = SKIP,
        date_payment_received: date | Skip | Erase = SKIP,
        apply_credit_to_buyer: bool = False,
        notes: str | Skip | Erase = SKIP,
    ) -> MarkResult:
        """Mark a bill as received: the buyer's payment has come.

        Args:
            bill_id: The bill; :meth:`export` shows its id.
            payment_amount: The amount that came; no value keeps the old one.
            payment_type_id: How it was paid, 1 to 255; ids differ between instances.
            invoice_number: The number of the invoice, of at most 50 UTF-16 units.
            verification_code: The code of the payment, of at most 50 UTF-16 units.
            date_payment_received: When it came.
            apply_credit_to_buyer: Credit the amount to the buyer's account. That moves money each
                time: the call is then never repeated, and never goes by GET.
            notes: Notes, of at most 250 UTF-16 units.

        Returns:
            CAKE's message, whether the bill was marked for the first time, and the amounts of
            payment and bill where the instance sends them.

        Raises:
            ArgumentError: An argument cannot be sent.
            NotFound: There is no such bill.
            NotSent: Nothing was sent: safe to send again.
            OutcomeUnknown: The bill may have been marked.
            ApiError: CAKE refused the call.
        """
        return self._thread.run(
            self._group.mark_received,
            bill_id,
            payment_amount=payment_amount,
            payment_type_id=payment_type_id,
            invoice_number=invoice_number,
            verification_code=verification_code,
            date_payment_received=date_payment_received,
            apply_credit_to_buyer=apply_credit_to_buyer,
            notes=notes,
        )


class Reference(Group[AsyncReference]):
    """``cake.reference``: ids and names of an instance. Ids differ between instances."""

    def billing_cycles(self, *, billing_cycle_id: int | Skip = SKIP) -> tuple[BillingCycle, ...]:
        """List how often partners can be billed.

        Args:
            billing_cycle_id: Only this one.

        Returns:
            The billing cycles.

        Raises:
            ConsistencyError: The instance does not know the filter: others came, too.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.billing_cycles, billing_cycle_id=billing_cycle_id)

    def payment_methods(self, *, payment_method_id: int | Skip = SKIP) -> tuple[PaymentMethod, ...]:
        """List the ways in which partners can be paid.

        Args:
            payment_method_id: Only this one.

        Returns:
            The payment methods.

        Raises:
            ConsistencyError: The instance does not know the filter: others came, too.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.payment_methods, payment_method_id=payment_method_id)

    def currencies(self) -> tuple[Currency, ...]:
        """List the currencies. Two of CAKE's pages name this call, none shows its response.

        Returns:
            The currencies.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.currencies)

    def payment_types(self) -> tuple[PaymentType, ...]:
        """List the ways in which money is sent: the meaning of v1's ``payment_type_id``.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.payment_types)

    def payment_settings(self) -> tuple[PaymentSetting, ...]:
        """List the currencies in which affiliates can be paid.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.payment_settings)

    def account_statuses(self) -> tuple[AccountStatus, ...]:
        """List the statuses that a partner's account can have.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.account_statuses)

    def v1_billing_cycles(self) -> tuple[BillingCycle, ...]:
        """List how often partners can be billed, by v1.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.v1_billing_cycles)

    def v1_currencies(self) -> tuple[Currency, ...]:
        """List the currencies of the instance, by v1.

        Returns:
            All of them.

        Raises:
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(self._group.v1_currencies)

    def exchange_rates(self, *, start_date: date, end_date: date) -> tuple[ExchangeRate, ...]:
        """List the exchange rates between the instance's currencies (v1).

        Args:
            start_date: From this day on.
            end_date: Until this day.

        Returns:
            The rates.

        Raises:
            ArgumentError: An argument cannot be sent.
            CakeError: CAKE refused the call, or no readable response came.
        """
        return self._thread.run(
            self._group.exchange_rates, start_date=start_date, end_date=end_date
        )


class Bulk:
    """``cake.bulk``: long runs of writes that survive a crash, see :mod:`aiocake.bulk`."""

    def __init__(self, thread: ClientThread, cake: AsyncClientView) -> None:
        self._thread = thread
        self._cake = cake

    def call(self, method: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Call[T]:
        """Return a write of the client as a value. Sends nothing.

        ::

            cake.bulk.call(cake.invoices.update, 4821, invoice_status="approved")

        With ``expect``, it is sent only if the record is as expected then::

            expect = Expect(
                invoice_status="pending", total_amount=Decimal("1250.00"), currency="USD"
            )
            cake.bulk.call(cake.invoices.update, 4821, invoice_status="approved", expect=expect)

        Args:
            method: A method of a client that writes, such as ``cake.invoices.update``.
            *args: As the method takes them.
            **kwargs: As the method takes them.

        Returns:
            The call.

        Raises:
            TypeError: The method takes no such arguments.
            ArgumentError: ``method`` is not a method of a client, it writes nothing, or an argument
                cannot be sent.
        """
        return bulk.call(method_of(self._thread, method), *args, **kwargs)

    def carry(
        self,
        path: JournalPath,
        *,
        calls: Callable[[], Iterable[Call[Any]]],
        limit: int | None = None,
        on_outcome: Callable[[Ended[Any]], object] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        stop_after: Stop | None = _STOP,
        expected: tuple[type[CakeError], ...] = (),
        on_existing: OnExisting = "skip",
        on_conflict: OnConflict = "skip",
        known_conflicts: Mapping[int, str] = NO_CONFLICTS,
        known_done: Collection[int] = (),
        allow_repeats: bool = False,
        settle: float = 60.0,
        allow_unknown_filesystem: bool = False,
        identity: PlanIdentity | None = None,
    ) -> Summary:
        """Carry out a plan to its end: the same call starts it, continues it, or finds it done.

        ::

            summary = cake.bulk.carry("january.db", calls=january)

        If there is no journal, or one whose making was interrupted, the run begins, as by
        :func:`each`. If there is one, the run goes on, as by :func:`resume`. If nothing is left to do,
        no request is sent, and nothing is written to the journal.

        Args:
            path: The journal: a file that is there, or a new one; or a run of a database
                (:meth:`aiocake.bulk.postgres.Postgres.run`).
            calls: A function that makes the plan, as :func:`each` takes it.
                It is called only if the journal does not have the whole plan yet, and has to make the
                same plan each time.
            limit: Calls in flight at once, as in :func:`each`.
            on_outcome: Called with the end of each call, as in :func:`each`.
            on_progress: Called with the run's progress, as in :func:`each`.
            stop_after: As in :func:`each`; earlier unknown and failed calls do not count.
            expected: Errors that do not count as failures, as in :func:`each`.
            on_existing: The treatment of creates with an existing record, as in :func:`each`.
            on_conflict: The treatment of updates whose invoice is not as expected, as in :func:`each`.
            known_conflicts: Calls to skip as conflicts, as in :func:`each`. One that may have been
                carried out is unknown then.
            known_done: Calls whose record is as they would leave it, as in :func:`each`.
            allow_repeats: Send repeated calls, as in :func:`each`.
            settle: Seconds that a lost create gets to show up, as in :func:`each`.
            allow_unknown_filesystem: As in :func:`each`.
            identity: The hash of the plan and who approved it; the journal must be of this plan. None
                for any.

        Returns:
            The result of the whole plan, as in :func:`each`. If it was done before, its problems are
            its conflicts alone.

        Raises:
            JournalError: The journal cannot be used, or is of another instance or plan; nothing was
                sent.
            ArgumentError: An argument is invalid, or a call, as in :func:`each`.
            AlreadyExists: As ``on_existing`` says.
        """
        return self._thread.run(
            bulk.carry,
            path,
            self._cake,
            calls=made(calls),
            limit=limit,
            on_outcome=None if on_outcome is None else asked(on_outcome),
            on_progress=None if on_progress is None else notifier(on_progress),
            stop_after=stop_after,
            expected=expected,
            on_existing=on_existing,
            on_conflict=on_conflict,
            known_conflicts=known_conflicts,
            known_done=known_done,
            allow_repeats=allow_repeats,
            settle=settle,
            allow_unknown_filesystem=allow_unknown_filesystem,
            identity=identity,
        )

    def each(
        self,
        calls: Iterable[Call[T]],
        *,
        journal: JournalPath | None,
        limit: int | None = None,
        on_outcome: Callable[[Ended[T]], object] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        stop_after: Stop | None = _STOP,
        expected: tuple[type[CakeError], ...] = (),
        on_existing: OnExisting = "skip",
        on_conflict: OnConflict = "skip",
        known_conflicts: Mapping[int, str] = NO_CONFLICTS,
        known_done: Collection[int] = (),
        allow_repeats: bool = False,
        settle: float = 60.0,
        allow_unknown_filesystem: bool = False,
        identity: PlanIdentity | None = None,
    ) -> Summary:
        """Carry out many writes concurrently, so that a crash loses nothing.

        Each call ends as :class:`Done`, :class:`Failed`, :class:`Unknown` or :class:`Skipped`. The
        unknown ones are looked up in the end, and reported again once their outcome is known. When the
        run is cancelled, calls in flight get the client's grace period and are written down; the rest
        is not sent.

        Creates wait for those of other runs on this host for the same partner. In the end the partners
        of all creates are listed once more, to find duplicates.

        Before a call that sets the status of an invoice, the invoice is looked at. By itself, a run
        moves a status from pending to approved to paid only, or to void if it is not paid. What the
        ``expect`` of a call says counts in place of that.

        Args:
            calls: Calls made by :func:`call`: a list, or any iterable. A list
                is written down as a whole before the first call is sent, other iterables while they
                are read.
            journal: The path of a new file that records the run, for :func:`resume`, or a run of a
                database (:meth:`aiocake.bulk.postgres.Postgres.run`); None for none.
            limit: Calls in flight at once; by default as many as the client's throttle allows.
            on_outcome: Called with the end of each call. An error that it raises
                ends the run.
            on_progress: Called with the run's progress after each end.
            stop_after: The number of unknown and of failed calls after which to stop sending. None to
                go on; a key that is refused, and a pause of the client (see
                :class:`aiocake.RateLimited`), stop it nevertheless.
            expected: Errors that do not count as failures, such as ``TipaltiError``.
            on_existing: The treatment of a create whose partner has an invoice, not void, of an
                overlapping period: skip it, raise :class:`AlreadyExists`, or create it anyway; then
                no duplicates are looked for.
            on_conflict: The treatment of an update whose invoice is not as it expects, or, where it
                expects nothing, of a status that a run does not set by itself: skip it, raise
                :class:`Conflict`, or send it anyway; then no invoice is looked at.
            known_conflicts: Calls to skip as conflicts, by their place in the plan, with the reason:
                for records that the run cannot look at, such as bills, and that you have.
            known_done: The places of calls whose record is as they would leave it: if one of them may
                have been carried out before, it was.
            allow_repeats: Send calls that set the same as an earlier one, and Mark calls for a bill
                that an earlier call marks in the same way, with whatever values.
            settle: Seconds between the two lists in which a create is looked for whose response was
                lost: the time it gets to show up.
            allow_unknown_filesystem: Accept a journal on a filesystem whose locks and fsync may not
                work, such as a network drive, or on one in memory: a crash could lose what was sent.
                The journal records this, and the type of the filesystem.
            identity: The hash of the plan and who approved it, for the journal to record; None for a
                plan without a hash.

        Returns:
            How many calls ended how, the problems, the duplicates, and why it stopped if it did.

        Raises:
            ArgumentError: An argument is invalid. Or one of the calls was not made by :func:`call`, is
                for another client, is repeated, or marks a bill that an earlier one marks. If
                ``calls`` is a list, nothing was sent and no journal made; otherwise the calls before
                it were sent.
            JournalError: The file is there already, cannot be written, or is on a filesystem that a
                journal is not safe on; nothing more was sent.
            AlreadyExists: As ``on_existing`` says.
            Conflict: As ``on_conflict`` says.
        """
        return self._thread.run(
            bulk.each,
            read(calls),
            journal=journal,
            limit=limit,
            on_outcome=None if on_outcome is None else asked(on_outcome),
            on_progress=None if on_progress is None else notifier(on_progress),
            stop_after=stop_after,
            expected=expected,
            on_existing=on_existing,
            on_conflict=on_conflict,
            known_conflicts=known_conflicts,
            known_done=known_done,
            allow_repeats=allow_repeats,
            settle=settle,
            allow_unknown_filesystem=allow_unknown_filesystem,
            identity=identity,
        )

    def resume(
        self,
        path: JournalPath,
        *,
        calls: Iterable[Call[Any]] | None = None,
        limit: int | None = None,
        on_outcome: Callable[[Ended[Any]], object] | None = None,
        on_progress: Callable[[Progress], object] | None = None,
        stop_after: Stop | None = _STOP,
        expected: tuple[type[CakeError], ...] = (),
        on_existing: OnExisting = "skip",
        on_conflict: OnConflict = "skip",
        known_conflicts: Mapping[int, str] = NO_CONFLICTS,
        known_done: Collection[int] = (),
        allow_repeats: bool = False,
        settle: float = 60.0,
        allow_unknown_filesystem: bool = False,
        identity: PlanIdentity | None = None,
    ) -> Summary:
        """Continue a run that was stopped, cancelled or killed, from its journal.

        It first finds out the outcome of the calls for which it is unknown. Then it sends, in order,
        those that were not carried out, the failed ones included.

        Args:
            path: The journal that :func:`each` wrote: its path, or its run of a database.
            calls: The same plan once more, from its beginning, if it was not read to its end. It has
                to begin with the calls that the journal has; that is checked before anything is sent.
                The rest of a list is written down as a whole, as in :func:`each`.
            limit: Calls in flight at once, as in :func:`each`.
            on_outcome: Called with the end of each call, as in :func:`each`.
            on_progress: Called with the run's progress, as in :func:`each`.
            stop_after: As in :func:`each`; earlier unknown and failed calls do not count.
            expected: Errors that do not count as failures, as in :func:`each`.
            on_existing: The treatment of creates with an existing record, as in :func:`each`.
            on_conflict: The treatment of updates whose invoice is not as expected, as in :func:`each`.
                What an earlier session has skipped stays skipped.
            known_conflicts: Calls to skip as conflicts, as in :func:`each`. One that may have been
                carried out is unknown then.
            known_done: Calls whose record is as they would leave it, as in :func:`each`.
            allow_repeats: Send repeated calls, as in :func:`each`.
            settle: Seconds that a lost create gets to show up, as in :func:`each`.
            allow_unknown_filesystem: As in :func:`each`; not needed again for a filesystem of the type
                that it was set for.
            identity: The hash of the plan that the journal must be of, and the approvals that hold
                now; None for any plan.

        Returns:
            The result of the whole plan, as in :func:`each`.

        Raises:
            JournalError: The journal cannot be used, or the plan is another one; nothing was sent.
            ArgumentError: An argument is invalid, or a call, as in :func:`each`.
            AlreadyExists: As ``on_existing`` says.
            Conflict: As ``on_conflict`` says.
        """
        return self._thread.run(
            bulk.resume,
            path,
            self._cake,
            calls=None if calls is None else read(calls),
            limit=limit,
            on_outcome=None if on_outcome is None else asked(on_outcome),
            on_progress=None if on_progress is None else notifier(on_progress),
            stop_after=stop_after,
            expected=expected,
            on_existing=on_existing,
            on_conflict=on_conflict,
            known_conflicts=known_conflicts,
            known_done=known_done,
            allow_repeats=allow_repeats,
            settle=settle,
            allow_unknown_filesystem=allow_unknown_filesystem,
            identity=identity,
        )


class ClientSettings(TypedDict, total=False):
    """The settings of :class:`Client`, by name."""

    timeouts: Timeouts | None
    retry: RetryPolicy | None
    throttle: Throttle | None
    binding: Binding
    transport: AsyncBaseTransport | None
    proxy: str | None
    ssl_context: ssl.SSLContext | None
    ledger: Ledger | None
    grace: float
    read_only: bool
    show_sensitive: bool
    user_agent: str | None
    on_event: OnEvent | None
    traits: InstanceTraits | None


class ClientView:
    """All endpoints, under one set of options. A Client is one; ``with_options`` makes others.

    Attributes:
        invoices: Invoices (v2).
        affiliate_bills: Affiliates' bills (v1).
        advertiser_bills: Advertisers' bills (v1).
        buyer_bills: Buyers' bills (v1).
        reference: Look-up lists: billing cycles, payment methods, currencies and others.
        bulk: Runs of writes.
    """

    def __init__(self, thread: ClientThread, cake: AsyncClientView) -> None:
        self._thread = thread
        self._cake = cake
        self.invoices: Invoices = Invoices(thread, cake.invoices)
        self.affiliate_bills: AffiliateBills = AffiliateBills(thread, cake.affiliate_bills)
        self.advertiser_bills: AdvertiserBills = AdvertiserBills(thread, cake.advertiser_bills)
        self.buyer_bills: BuyerBills = BuyerBills(thread, cake.buyer_bills)
        self.reference: Reference = Reference(thread, cake.reference)
        self.bulk: Bulk = Bulk(thread, cake)

    def with_options(
        self,
        *,
        total: float | None = None,
        queue: float | None = None,
        attempts: int | None = None,
        binding: Binding | None = None,
    ) -> "ClientView":
        """Return this client with other options, for one handler or one call.

        It shares connections, throttle and retry budget with this one, and is not closed.

        Args:
            total: Seconds for one call, as ``Timeouts.total``.
            queue: Seconds that a call may wait for its turn before it ends in ``NotSent``.
            attempts: How often a call is sent at most, the first time included.
            binding: The form of v1 calls.

        Returns:
            A view of the client. An option that is None stays as it is here.

        Raises:
            ConfigurationError: An option has a bad value.
        """
        return ClientView(
            self._thread,
            self._cake.with_options(total=total, queue=queue, attempts=attempts, binding=binding),
        )

    def request(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, RawValue] | None = None,
        json: Mapping[str, Json] | None = None,
        repeatable: bool,
        writes: bool | None = None,
    ) -> RawResponse:
        """Call an endpoint that has no method yet.

        The key, throttle, retries and verdicts apply as usual.

        Args:
            method: The HTTP method: GET, POST, PUT, PATCH or DELETE.
            path: The path, such as ``"/api/2/api_logs.json"``.
            params: The query, without the key.
            json: The body, as JSON.
            repeatable: True if sending the request twice does no more than sending it once.
            writes: True if it changes anything. By default all but a GET of v2 does, since v1
                has GETs that write.

        Returns:
            The response as it came: ``.status``, ``.headers``, ``.body``, ``.json()``, ``.xml()``.

        Raises:
            ArgumentError: An argument cannot be sent, or the client is read-only.
            CakeError: Any other error of a call.
        """
        return self._thread.run(
            self._cake.request,
            method,
            path,
            params=params,
            json=json,
            repeatable=repeatable,
            writes=writes,
        )

    def stats(self) -> ClientStats:
        """Return counts of calls in flight, waiting and unknown, and any pause. Sends nothing."""
        return self._thread.call(self._cake.stats)

    def end_pause(self) -> None:
        """End the client's pause at once, for calls of all its views.

        A server that asks for a long wait pauses the client, and calls end in
        :class:`aiocake.RateLimited`. Once you know that the server takes calls again, they need not
        wait for the end of the pause. Does nothing when there is none.

        Raises:
            WrongLoopError: The client belongs to another event loop or process.
        """
        self._thread.call(self._cake.end_pause)

    def run(
        self,
        function: Callable[Concatenate[AsyncClientView, P], Awaitable[T]],
        /,
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call an asynchronous function on the client's thread, for what has no blocking form.

        ::

            plan = cake.run(Plan.updates, period=january, invoice_status="pending", set=approved)
            found = cake.run(doctor.examine)

        Args:
            function: The function. It is called with the asynchronous client first, and what it is
                given runs on the client's thread as well.
            *args: As it takes them after the client.
            **kwargs: As it takes them.

        Returns:
            What it returns.

        Raises:
            BaseException: What it raises.
        """
        return self._thread.run(function, self._cake, *args, **kwargs)


class BaseClient(ClientView):
    """A client, as it is made: :class:`aiocake.blocking.Client` without its end."""

    def __init__(
        self,
        domain: str,
        api_key: ApiKey,
        *,
        timeouts: Timeouts | None = None,
        retry: RetryPolicy | None = None,
        throttle: Throttle | None = None,
        binding: Binding = Binding.GET,
        transport: AsyncBaseTransport | None = None,
        proxy: str | None = None,
        ssl_context: ssl.SSLContext | None = None,
        ledger: Ledger | None = None,
        grace: float = 5.0,
        read_only: bool = False,
        show_sensitive: bool = False,
        user_agent: str | None = None,
        on_event: OnEvent | None = None,
        traits: InstanceTraits | None = None,
    ) -> None:
        self._begin(
            AsyncClient(
                domain,
                api_key,
                timeouts=timeouts,
                retry=retry,
                throttle=throttle,
                binding=binding,
                transport=transport,
                proxy=proxy,
                ssl_context=ssl_context,
                ledger=counted(ledger),
                grace=grace,
                read_only=read_only,
                show_sensitive=show_sensitive,
                user_agent=user_agent,
                on_event=on_event,
                traits=traits,
            )
        )

    def _begin(self, client: AsyncClient) -> None:
        super().__init__(ClientThread(client), client)
