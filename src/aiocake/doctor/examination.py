"""An examination from its beginning to its end."""

from datetime import UTC, datetime

from aiocake.client import ClientView
from aiocake.doctor.diagnosis import Diagnosis, Level
from aiocake.doctor.findings import Findings
from aiocake.doctor.lists import InvoiceList, look_at_errors, look_at_payment_methods
from aiocake.doctor.probe import CutShort, Probe
from aiocake.doctor.services import look_at_bindings, look_at_exports, look_at_lookups
from aiocake.doctor.way import first_response, look_at_connection
from aiocake.errors import CakeError
from aiocake.values import Binding


async def examine(cake: ClientView) -> Diagnosis:
    """Examine the instance of a client. Reads only: the client may be any, and stays as it is.

    Args:
        cake: The client. Its address, key, proxy and certificates are those that are examined; its
            traits are left aside.

    Returns:
        What was found. An instance that is not reached, or refuses the key, is a finding, too: its
        error is the diagnosis' ``error``.

    Raises:
        ClosedError: The client is closed.
        WrongLoopError: The client belongs to another event loop.
    """
    at = datetime.now(UTC)
    probe, findings = Probe(cake), Findings()
    probe.transport.lifecycle.check_usable()
    error: CakeError | None = None
    try:
        error = await _look_at_all(probe, findings)
    except CutShort as cut:
        error = cut.error
        if error is None:
            text = f"it ended here, after {probe.requests} requests and {probe.seconds:.0f} s"
            advice = "what is missing could not be determined: the instance is slow"
            findings.add("examination", Level.WARNING, text, advice)
        elif not findings.has_problem:
            text = f"the instance takes no more calls: {error}"
            advice = "wait, then try again; a rate in the profile keeps below its limit"
            findings.add("examination", Level.WARNING, text, advice)
    return Diagnosis(
        domain=probe.domain,
        at=at,
        findings=tuple(findings.all),
        traits=findings.traits,
        requests=probe.requests,
        seconds=probe.seconds,
        error=error,
    )


async def _look_at_all(probe: Probe, findings: Findings) -> CakeError | None:
    """Return the error if neither version answers as CAKE does."""
    await look_at_connection(probe.transport, findings)
    response = await first_response(probe, findings)
    unlike: CakeError | None = None
    if response is not None:
        try:
            invoices = InvoiceList(probe, findings, response)
        except CakeError as error:
            unlike = error
            advice = "it is JSON, and not as any of CAKE's pages shows it: is it CAKE at all?"
            findings.add("version 2", Level.PROBLEM, str(error), advice)
        else:
            await invoices.examine()
            with findings.looking_at("errors"):
                await look_at_errors(probe, findings)
            with findings.looking_at("payment methods"):
                await look_at_payment_methods(probe, findings)
    refused = await look_at_bindings(probe, findings)
    if Binding.GET in (findings.traits.bindings or ()):
        with findings.looking_at("look-ups"):
            await look_at_lookups(probe, findings)
        with findings.looking_at("exports"):
            await look_at_exports(probe, findings)
    return refused if response is None or unlike is not None else None
