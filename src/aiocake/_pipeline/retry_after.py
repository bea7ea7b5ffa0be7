"""How long a server asks to wait: the Retry-After header of RFC 9110 section 10.2.3."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

#: The one form of a date that senders may use (RFC 9110 section 5.6.7, IMF-fixdate).
_IMF_DATE: Final = re.compile(
    r"(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), (\d\d) "
    r"(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec) (\d{4}) (\d\d):(\d\d):(\d\d) GMT",
    re.ASCII,
)
_MONTHS: Final = {
    name: number
    for number, name in enumerate(
        ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"), 1
    )
}
#: Digits, as RFC 9110 has it, and maybe a fraction: some gateways send what they have computed.
_NUMBER: Final = re.compile(r"([0-9]+)(?:\.([0-9]+))?")
#: A number with more digits than this is longer than any wait: how much longer does not matter.
_MOST_DIGITS: Final = 12


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a response asks to wait.

    ``retry-after-ms``, which some gateways send, counts first, since it is the finer one. A date
    is read against the response's own ``Date``, so that neither clock has to be right.

    Args:
        headers: The response's headers, by lower-case name.

    Returns:
        Seconds, more than 0; a fraction of the number that was sent is rounded up. None when
        nothing readable is asked, or nothing that lies ahead.
    """
    seconds = _number(headers.get("retry-after-ms"), unit=0.001)
    if seconds is None:
        asked = headers.get("retry-after")
        seconds = _number(asked, unit=1.0)
        if seconds is None:
            seconds = _until(asked, headers.get("date"))
    return seconds if seconds is not None and seconds > 0 else None


def _number(text: str | None, *, unit: float) -> float | None:
    found = _NUMBER.fullmatch(text.strip(" \t")) if text is not None else None
    if found is None:
        return None
    whole, fraction = found.groups(default="")
    # Whoever errs should err on the side of waiting.
    return (int(whole.lstrip("0")[:_MOST_DIGITS] or "0") + bool(fraction.strip("0"))) * unit


def _until(text: str | None, now: str | None) -> float | None:
    then, start = _moment(text), _moment(now)
    return (then - start).total_seconds() if then is not None and start is not None else None


def _moment(text: str | None) -> datetime | None:
    found = _IMF_DATE.fullmatch(text.strip(" \t")) if text is not None else None
    if found is None:
        return None
    day, month, year, *clock = found.groups()
    hour, minute, second = map(int, clock)
    try:
        return datetime(int(year), _MONTHS[month], int(day), hour, minute, second, tzinfo=UTC)
    except ValueError:  # the thirtieth of February
        return None
