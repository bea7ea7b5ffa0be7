"""The two parts of the tests: ``quick`` for each change, and ``thorough``, which is all the rest.

``nox -s tests`` runs the first, ``nox -s thorough`` the second. A test is in one of them and never
in both: thorough is what :func:`is_thorough` says, quick is what it does not.
"""

from pathlib import Path
from typing import Final

import pytest

_TESTS: Final = Path(__file__).parents[1]

#: Folders and files that need programs, libraries or minutes of their own.
FILES: Final = (
    # Outages, throttling and waits of minutes and hours, on a simulated clock.
    "simulated",
    "transport/test_pace.py",
    # Examples that are drawn, and faults at random.
    "campaign",
    "endpoints/test_odd_arguments.py",
    "fuzz",
    "monthend/test_any_order.py",
    "paging/test_any_list.py",
    # Processes that are killed.
    "crash",
    "monthend/test_month_end.py",
    "test_file_lock.py",
    # Programs as processes: the command in a terminal, a shell and a pipe, tests of a user's own.
    "blocking/test_processes.py",
    "cli/test_completion.py",
    "cli/test_guide.py",
    "cli/test_interrupt.py",
    "cli/test_key.py",
    "cli/test_output.py",
    "cli/test_sandbox_and_demo.py",
    "cli/test_terminal.py",
    "sandbox/test_serving.py",
    "test_imports.py",
    "test_testing.py",
    # Servers: PostgreSQL, PgBouncer, Redis.
    "bulk/test_lease.py",
    "bulk/test_postgres.py",
    "bulk/test_postgres_page.py",
    "cli/test_journal_postgres.py",
    "journals",
    "quota",
    "scorecard/test_quota.py",
    # Other libraries: data frames, engines, frameworks.
    "cli/test_files.py",
    "client/test_odd_settings.py",
    "examples",
    "test_tables.py",
    # What the tests of speed compare with.
    "events/test_cost.py",
    "test_benchmarks.py",
)
#: Single tests of other files.
SINGLE: Final = (
    # Many rows, many servers, many examples.
    "bulk/test_looks.py::test_rows_that_lie_together_cost_little",
    "bulk/test_looks.py::test_scattered_rows_cost_twice_at_most",
    "codec/test_arguments.py::test_no_error_repeats_a_value",
    "codec/test_damaged_responses.py::test_a_whole_answer",
    "codec/test_fast.py::test_a_page_with_any_keys_is_read_as_exactly_or_left_to_the_exact_reading",
    "codec/test_fingerprints.py::test_it_takes_few_bytes",
    "doctor/test_dialects.py::test_wrong_traits_lose_no_row",
    "paging/test_id_set.py::test_scattered_numbers_take_little_room",
    "transport/test_scrub.py::test_a_short_key_is_taken_out_where_it_stands_alone",
    "transport/test_scrub.py::test_each_form_of_a_key_is_taken_out_whole",
    "v1/test_arguments_arrive.py::test_what_is_given_is_what_is_read_and_stored",
    # Copies of the package that are broken, and processes.
    "cli/test_apply.py::test_ctrl_c_says_how_to_go_on",
    "test_layers.py::test_a_violation_is_caught",
    # Hours.
    "scorecard/test_lists.py::test_a_month_end_beside_somebody_who_changes_an_invoice_each_second",
    "scorecard/test_throttled.py::test_a_full_outage",
    "transport/test_retry.py::test_an_outage_is_not_multiplied",
)
#: Fixtures that start a process or a server.
STARTING: Final = frozenset({"database", "postgres", "process", "terminal"})
#: Where each test runs on trio for each change, too: what waits, retries, cancels and connects.
ON_TRIO: Final = ("pipeline", "test_backends.py", "test_tasks.py", "transport")


def is_thorough_file(path: Path) -> bool:
    """Return whether all of a folder or a file is thorough."""
    return any(path.is_relative_to(_TESTS / each) for each in FILES)


def is_thorough(item: pytest.Item) -> bool:
    """Return whether a test is thorough: by its place, by what it starts, or as one of trio's."""
    name = item.nodeid.removeprefix("tests/").partition("[")[0]
    if is_thorough_file(item.path) or name in SINGLE:
        return True
    if not STARTING.isdisjoint(getattr(item, "fixturenames", ())):
        return True
    call = getattr(item, "callspec", None)
    on_trio = call is not None and any(
        isinstance(value, str) and value == "trio" for value in call.params.values()
    )
    return on_trio and not any(item.path.is_relative_to(_TESTS / each) for each in ON_TRIO)
