"""How a call fails: by CAKE, ASP.NET, IIS or the network, and which of them may pass.

What neither the client nor the sandbox does is made on the way between the two.
"""

from collections.abc import Callable

import httpx
import pytest
from starlette.responses import HTMLResponse, Response

from aiocake import (
    AuthenticationError,
    Binding,
    Client,
    DecodeError,
    Outcome,
    OutcomeUnknown,
    RequestRejected,
)
from aiocake.sandbox import Sandbox

from ..support.v1 import BILL, YEAR, mark

pytestmark = pytest.mark.anyio


Connect = Callable[..., Client]


Tamper = Callable[..., httpx.AsyncBaseTransport]


URL = (Binding.GET, Binding.POST)


SOAP = (Binding.SOAP11, Binding.SOAP12)


@pytest.mark.parametrize("binding", Binding)
async def test_a_no_is_seen_whichever_layer_says_it(
    over_http: Connect, connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    # CAKE's: a 200.
    async with over_http(api_key="wrong", binding=binding) as cake:
        with pytest.raises(AuthenticationError) as cakes:
            await mark(cake)
    assert (cakes.value.status, cakes.value.outcome) == (200, Outcome.NOT_DONE)
    # ASP.NET's: a 500, which is the caller's mistake, and final.
    broken = tamper(sandbox, ("bill_id=345", "bill_id=x"), ("<bill_id>345", "<bill_id>x"))
    async with connect(transport=broken, binding=binding) as cake:
        with pytest.raises(RequestRejected) as nets:
            await mark(cake)
    assert (nets.value.status, nets.value.outcome) == (500, Outcome.NOT_DONE)
    assert len(sandbox.state.requests) == 2
    # IIS's or the network's: HTML, or nothing, in any status.
    for early in (HTMLResponse("<html>gone</html>"), HTMLResponse("<html/>", 502), Response()):
        sandbox.state.on_request[:] = [lambda _, early=early: early]
        async with over_http(binding=binding) as cake:
            with pytest.raises(OutcomeUnknown):
                await mark(cake)


@pytest.mark.parametrize("binding", Binding)
async def test_a_look_up_is_no_success_either_when_it_is_a_page(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.on_request.append(lambda _: HTMLResponse("<html>log in</html>"))
    async with over_http(binding=binding) as cake:
        with pytest.raises(DecodeError, match="HTML"):
            await cake.reference.payment_types()


@pytest.mark.parametrize("binding", Binding)
async def test_the_text_of_a_500_is_unescaped_and_the_callers_fault_is_final(
    connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    broken = tamper(sandbox, ("bill_id=345", "bill_id=a%27%3E"), ("<bill_id>345", "<bill_id>x"))
    async with connect(transport=broken, binding=binding) as cake:
        with pytest.raises(
            RequestRejected, match=r"Input string was not .* \(HTTP 500\)"
        ) as caught:
            await mark(cake)
    assert caught.value.status == 500
    assert " ---> " in caught.value.message
    assert "&" not in caught.value.message
    assert ("Cannot convert a'> to System.Int32." in caught.value.message) is (binding in URL)
    assert len(sandbox.state.requests) == 1


@pytest.mark.parametrize("binding", Binding)
async def test_the_servers_fault_may_pass(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    text = "System.Data.SqlClient.SqlException: Timeout expired."
    faults = {
        Binding.SOAP11: "<s:Envelope xmlns:s='http://schemas.xmlsoap.org/soap/envelope/'><s:Body>"
        f"<s:Fault><faultcode>s:Server</faultcode><faultstring>{text}</faultstring></s:Fault>"
        "</s:Body></s:Envelope>",
        Binding.SOAP12: "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope'><s:Body>"
        "<s:Fault><s:Code><s:Value>s:Receiver</s:Value></s:Code><s:Reason><s:Text>"
        f"{text}</s:Text></s:Reason></s:Fault></s:Body></s:Envelope>",
    }
    answers = [Response(faults.get(binding, text), 500)]
    sandbox.state.on_request.append(lambda _: answers.pop() if answers else None)
    async with over_http(binding=binding) as cake:
        result = await mark(cake, notes="second try")
    assert result.first is None
    assert sandbox.state.affiliate_bills[BILL].notes == "second try"
    assert len(sandbox.state.requests) == 2


@pytest.mark.parametrize("binding", SOAP)
@pytest.mark.parametrize(
    ("change", "content_type", "status"),
    [
        (("</soap:Body>", ""), None, 400),
        (("<soap:Envelope", "<!DOCTYPE a><soap:Envelope"), None, 400),
        (("", ""), "application/json", 415),
        (("", ""), "swapped", 415),
    ],
)
async def test_a_refusal_with_an_empty_body_is_one(  # noqa: PLR0913, PLR0917 - a table
    connect: Connect,
    tamper: Tamper,
    sandbox: Sandbox,
    binding: Binding,
    change: tuple[str, str],
    content_type: str | None,
    status: int,
) -> None:
    if content_type == "swapped":
        content_type = "text/xml" if binding is Binding.SOAP12 else "application/soap+xml"
    broken = tamper(sandbox, change, content_type=content_type)
    async with connect(transport=broken, binding=binding) as cake:
        with pytest.raises(RequestRejected) as caught:
            await mark(cake)
    assert (caught.value.status, caught.value.outcome) == (status, Outcome.NOT_DONE)
    assert len(sandbox.state.requests) == 1


@pytest.mark.parametrize("binding", Binding)
async def test_a_page_for_people_is_never_a_success(
    over_http: Connect, sandbox: Sandbox, binding: Binding
) -> None:
    html = "<!DOCTYPE html>\r\n<html><head><title>Log in</title></head><body/></html>"
    sandbox.state.on_request.append(lambda _: HTMLResponse(html))
    async with over_http(binding=binding) as cake:
        with pytest.raises(OutcomeUnknown) as write:
            await mark(cake)
        for read in (
            cake.affiliate_bills.export(period=YEAR).collect,
            cake.reference.payment_types,
        ):
            with pytest.raises(DecodeError, match="HTML"):
                await read()
    assert isinstance(write.value.cause, DecodeError)
    assert write.value.applied_likely is False


@pytest.mark.parametrize("binding", [Binding.GET])
async def test_the_help_page_does_nothing_and_is_no_success(
    connect: Connect, tamper: Tamper, sandbox: Sandbox, binding: Binding
) -> None:
    sandbox.state.affiliate_bills[BILL].notes = "as it was"
    # As one of CAKE's sample URLs has it.
    to_help = tamper(sandbox, ("/MarkAffiliateBillAsReceived?", "?op=MarkAffiliateBillAsReceived&"))
    async with connect(transport=to_help, binding=binding) as cake:
        with pytest.raises(OutcomeUnknown):
            await mark(cake, notes="not noted")
    assert sandbox.state.affiliate_bills[BILL].notes == "as it was"
    assert {each.operation for each in sandbox.state.requests} == {None}
