"""From arguments to a request: check all of them before anything is sent, then encode them.

All problems are reported at once. What the parameters of an operation say is compiled once, into a
function that checks and one for each binding that encodes.
"""

from collections.abc import Callable, Collection, Mapping
from functools import lru_cache
from typing import Any, Final, TypeVar

from aiocake._codec import requests_v1, requests_v2
from aiocake._codec.requests_v2 import Encode
from aiocake._messages import Request
from aiocake._operations.operation import Api, Operation
from aiocake._operations.parameters import InvalidArgument
from aiocake.errors import ArgumentError, Problem
from aiocake.values import SKIP, Binding, Idempotency

T = TypeVar("T")

Validate = Callable[[Mapping[str, object]], dict[str, object]]

#: For a call that must not be repeated, the best first.
_NOT_GET: Final = (Binding.SOAP12, Binding.SOAP11, Binding.POST)


def prepare(
    operation: Operation[T],
    arguments: Mapping[str, object],
    binding: Binding,
    answered: frozenset[Binding] | None = None,
) -> tuple[dict[str, object], Request]:
    """Validate the arguments of a call, and make its request.

    Args:
        operation: The operation.
        arguments: By name; one that is SKIP is left out.
        binding: The form of a v1 call. One that must not be repeated goes by SOAP 1.2 in place
            of GET, which proxies repeat and cache. v2 has one form only.
        answered: The bindings that the instance is known to answer; None where nothing is known.

    Returns:
        The arguments without those that are SKIP, as exact built-in values, and the request, with
        a place for the key.

    Raises:
        ArgumentError: Names every argument that is missing, unknown or cannot be sent.
    """
    validate, encoders = _compiled(operation)
    provided = validate(arguments)
    if (
        binding is Binding.GET
        and operation.api is Api.V1
        and operation.idempotency_of(provided) is Idempotency.NON_IDEMPOTENT
    ):
        best = (each for each in _NOT_GET if answered is None or each in answered)
        binding = next(best, Binding.SOAP12)
    if operation.api is Api.V1 and answered is not None and binding not in answered:
        others = ", ".join(sorted(answered)) or "none"
        reason = f"this instance does not answer {binding} (by its traits it answers: {others})"
        raise ArgumentError(Problem("binding", reason))
    return provided, encoders[binding](provided)


@lru_cache(256)
def _compiled(operation: Operation[Any]) -> tuple[Validate, Mapping[Binding, Encode]]:
    """Return the functions that check and encode the calls of an operation: made once."""
    if operation.api is Api.V2:
        return validator(operation), dict.fromkeys(Binding, requests_v2.encoder(operation))
    from aiocake._codec import soap  # noqa: PLC0415 - v1 only

    encoders = {
        Binding.GET: requests_v1.get_encoder(operation),
        Binding.POST: requests_v1.form_encoder(operation),
        Binding.SOAP11: soap.encoder(operation, soap.SOAP11),
        Binding.SOAP12: soap.encoder(operation, soap.SOAP12),
    }
    return validator(operation), encoders


def validator(operation: Operation[object]) -> Validate:
    """Return the function that checks the arguments of an operation.

    It takes them by name, where SKIP is as good as not given, and returns those that are not SKIP,
    as exact built-in values. It raises an ArgumentError that names every argument that is missing,
    unknown or cannot be sent, and whatever does not fit together.
    """
    v1 = operation.api is Api.V1
    checks = {parameter.name: parameter.check for parameter in operation.parameters}
    needed = {
        parameter.name
        for parameter in operation.parameters
        if parameter.required or (v1 and parameter.kept is None)
    }
    rules = operation.rules

    def validate(arguments: Mapping[str, object]) -> dict[str, object]:
        provided: dict[str, object] = {}
        fits = True
        for name, value in arguments.items():
            if value is SKIP:
                continue
            check = checks.get(name)
            exact = InvalidArgument(()) if check is None else check(value, v1=v1)
            if type(exact) is InvalidArgument:
                fits = False
            provided[name] = exact
        fits = fits and needed <= provided.keys()
        problems = [] if fits else _problems(provided, checks, needed)
        # A rule also sees arguments that are wrong by themselves; what it says of them is dropped.
        named = {problem.name for problem in problems}
        for rule in rules:
            found = rule(provided)
            if found is not None and found.name not in named:
                problems.append(found)
        if problems:
            raise ArgumentError(*problems)
        return provided

    return validate


def _problems(
    provided: Mapping[str, object], known: Collection[str], needed: Collection[str]
) -> list[Problem]:
    """Return the problems of each argument by itself."""
    problems: list[Problem] = []
    for name in provided:
        if name not in known:
            import difflib  # noqa: PLC0415 - only where somebody mistypes

            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            problems.append(Problem(name, f"there is no such argument{hint}"))
    for name in known:
        value = provided.get(name)
        if isinstance(value, InvalidArgument):
            problems += [each for each in value.problems if each not in problems]
        elif name in needed and name not in provided:
            problems.append(Problem(name, "is required"))
    return problems
