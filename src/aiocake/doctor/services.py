"""Version 1: the bindings that an instance supports, and the form of its responses."""

from collections.abc import Mapping
from typing import Final

from aiocake._codec.reply import BodyFormat, format_of
from aiocake.doctor.diagnosis import Level
from aiocake.doctor.findings import Findings
from aiocake.doctor.probe import CutShort, Probe
from aiocake.errors import (
    AuthenticationError,
    CakeError,
    DecodeError,
    NotFound,
    RateLimited,
    RequestRejected,
    Restricted,
)
from aiocake.values import Binding

#: By these an instance says that it does not take a binding; by others, nothing.
_NOT_TAKEN: Final = (RequestRejected, NotFound, DecodeError)
_ONE_DAY: Final[Mapping[str, str | int]] = {
    "billing_cycle": "all",
    "billing_period_start_date": "2000-01-01",
    "billing_period_end_date": "2000-01-02",
    "paid_only": "false",
    "payment_type_id": 0,
}


async def look_at_bindings(probe: Probe, findings: Findings) -> CakeError | None:
    """Call a look-up by each binding.

    Returns:
        The error of the last binding that is not answered, if none is.

    Raises:
        CutShort: The instance takes no more calls, or time or requests are used up.
    """
    answered: list[Binding] = []
    unknown: list[Binding] = []
    last: CakeError | None = None
    for binding in Binding:
        error = await _refusal(probe, binding)
        if isinstance(error, AuthenticationError):
            text = f"the key is refused: {error}"
            advice = "bills and look-ups of version 1 cannot be called with this key"
            findings.add("version 1", Level.PROBLEM, text, advice)
            return error
        if error is None:
            answered.append(binding)
        elif not isinstance(error, _NOT_TAKEN):
            unknown.append(binding)
        last = error or last
    if unknown:
        findings.unknown("bindings", f"{_listed(unknown)}: {last}; answered: {_listed(answered)}")
    else:
        _tell(answered, last, findings)
    return None if answered else last


async def _refusal(probe: Probe, binding: Binding) -> CakeError | None:
    try:
        await probe.by(binding).reference.payment_types()
    except (RateLimited, Restricted) as error:
        raise CutShort(error) from None
    except CakeError as error:
        return error.with_traceback(None)
    return None


def _tell(answered: list[Binding], last: CakeError | None, findings: Findings) -> None:
    findings.know(bindings=frozenset(answered))
    missing = [each for each in Binding if each not in answered]
    found = f"answered: {_listed(answered)}"
    if missing:
        found += f"; not answered: {_listed(missing)}"
    if not answered:
        text = f"version 1 answers by none: {last}"
        advice = "bills and the look-ups of version 1 cannot be called"
        findings.add("bindings", Level.PROBLEM, text, advice)
    elif Binding.GET in missing:
        advice = f'binding = "{answered[-1]}" in the profile, or Client(binding=…)'
        findings.add("bindings", Level.WARNING, found, advice)
    else:
        findings.ok("bindings", found)


def _listed(bindings: list[Binding]) -> str:
    return ", ".join(bindings) or "none"


async def look_at_lookups(probe: Probe, findings: Findings) -> None:
    """Look at whether a look-up says that it succeeded."""
    response = await probe.get("/api/1/get.asmx/PaymentTypes")
    if (error := probe.refusal_of(response)) is not None:
        raise error
    if format_of(response.body) is not BodyFormat.XML:
        findings.unknown("look-ups", f"{format_of(response.body).value} in place of XML")
        return
    flag = response.xml().find("success") is not None
    text = "with a success element" if flag else "without a success element: a list is a success"
    findings.ok("look-ups", text, lookup_success=flag)


async def look_at_exports(probe: Probe, findings: Findings) -> None:
    """Look at what an export is written in: one of a day long ago."""
    response = await probe.get("/api/1/accounting.asmx/ExportAffiliateBills", **_ONE_DAY)
    if (error := probe.refusal_of(response)) is not None:
        raise error
    form = format_of(response.body)
    if form is BodyFormat.JSON:
        findings.ok("exports", "in JSON: read as well", v1_format="json")
    elif form is BodyFormat.XML:
        findings.ok("exports", "in XML", v1_format="xml")
    else:
        findings.unknown("exports", f"{form.value} in place of bills")
