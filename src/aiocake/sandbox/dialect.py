"""Variants of the API: one field for each point on which CAKE's documents disagree."""

from typing import Literal

import attrs


@attrs.frozen(kw_only=True)
class Dialect:
    """One reading of CAKE's pages. The default is the page "How to Manage Invoices".

    Attributes:
        envelope: ``flat`` puts the data beside ``request_status``, ``wrapped`` puts it into
            ``response``, ``beside`` does that with all but a list's ``total_rows``.
        invoice_fields: ``amount`` has ``total_amount``, ``currency``, ``start_date`` and
            ``end_date`` in a row; ``payout`` has ``total_payout``, ``currency_symbol``,
            ``invoice_date`` and ``billing_cycle_name`` instead.
        payment_method_fields: ``type`` has ``payment_type_id`` and ``payment_type_name``;
            ``method`` has ``payment_method_id``, ``payment_method_name``, ``payment_type_id``.
        status_case: ``pending`` or ``Pending``.
        money: a text with the decimals of the currency, or a JSON number.
        first_row: the number of the first row, and where a list begins by default.
        row_zero: how a server that counts from 1 treats row 0: it is ``first``, as in v1; it
            ``counts`` as a row that nothing is in, so that a page from there is one row short;
            or it is ``refused``.
        row_cap: the most rows of one page, whatever ``row_limit`` says.
        end_date: inclusive if the last day of a period belongs to it.
        ignored_filters: names of parameters of the list that this server does not know.
        total_rows: True if a list says how many rows match.
        error_status: no page shows an error of v2. ``ok`` responds with 200, ``typed`` with
            400, 401 or 404.
        error_field: the field of an error's text. ``errors`` holds a list of texts.
        error_request_status: the ``request_status`` of an error.
        v1_format: v1's accounting calls respond in XML, or as some newer pages show them, in
            JSON.
        lookup_success: True if the responses of ``get.asmx`` have a ``success`` element.
    """

    envelope: Literal["flat", "wrapped", "beside"] = "flat"
    invoice_fields: Literal["amount", "payout"] = "amount"
    payment_method_fields: Literal["type", "method"] = "type"
    status_case: Literal["lower", "title"] = "lower"
    money: Literal["text", "number"] = "text"
    first_row: Literal[0, 1] = 0
    row_zero: Literal["first", "counts", "refused"] = "first"
    row_cap: int | None = None
    end_date: Literal["inclusive", "exclusive"] = "inclusive"
    ignored_filters: frozenset[str] = frozenset()
    total_rows: bool = True
    error_status: Literal["ok", "typed"] = "ok"
    error_field: Literal["message", "error", "error_message", "errors"] = "message"
    error_request_status: str = "Error"
    v1_format: Literal["xml", "json"] = "xml"
    lookup_success: bool = True

    @staticmethod
    def all() -> dict[str, "Dialect"]:
        """Return a dialect for each disagreement, and a few that combine some, by name.

        All of them can be paged to the end. A server that cannot is
        ``Dialect(ignored_filters=frozenset({"start_at_row"}))``.

        Returns:
            The default first, then each one-off, then the combinations.
        """
        return {
            "default": Dialect(),
            "wrapped": Dialect(envelope="wrapped"),
            "total-beside": Dialect(envelope="beside"),
            "payout-fields": Dialect(invoice_fields="payout"),
            "method-fields": Dialect(payment_method_fields="method"),
            "title-status": Dialect(status_case="title"),
            "money-number": Dialect(money="number"),
            "first-row-1": Dialect(first_row=1),
            "first-row-1-zero-counts": Dialect(first_row=1, row_zero="counts"),
            "first-row-1-zero-refused": Dialect(first_row=1, row_zero="refused"),
            "cap-7": Dialect(row_cap=7),
            "cap-500": Dialect(row_cap=500),
            "end-exclusive": Dialect(end_date="exclusive"),
            "no-affiliate-filter": Dialect(ignored_filters=frozenset({"affiliate_id"})),
            "no-status-filter": Dialect(ignored_filters=frozenset({"invoice_status"})),
            "no-date-filter": Dialect(ignored_filters=frozenset({"start_date", "end_date"})),
            "no-total-rows": Dialect(total_rows=False),
            "typed-errors": Dialect(error_status="typed"),
            "error-field": Dialect(error_field="error"),
            "error-message": Dialect(error_field="error_message"),
            "errors-list": Dialect(error_field="errors"),
            "failure": Dialect(error_request_status="failure"),
            "v1-json": Dialect(v1_format="json"),
            "lookups-without-success": Dialect(lookup_success=False),
            "newer-pages": Dialect(
                envelope="wrapped",
                invoice_fields="payout",
                payment_method_fields="method",
                status_case="title",
                money="number",
                first_row=1,
                row_cap=10_000,
                error_status="typed",
                v1_format="json",
            ),
            "first-row-1-cap-7": Dialect(first_row=1, row_cap=7),
            "cap-7-no-total-rows": Dialect(row_cap=7, total_rows=False),
            "first-row-1-no-total-rows": Dialect(first_row=1, total_rows=False),
        }
