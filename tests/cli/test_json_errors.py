"""Errors as JSON: one object on the standard error, where the output is JSON."""
# ruff: noqa: ANN001 - fixtures of this folder's conftest, whose types cannot be imported

import json
from pathlib import Path

import pytest

from aiocake.sandbox import Sandbox


def objects(err: str) -> list[dict[str, object]]:
    return [json.loads(line) for line in err.splitlines()]


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (
            ("invoices", "get", "1", "--json"),
            {
                "type": "NotFound",
                "exit_code": 4,
                "message": "there is no invoice 1 (HTTP 200)",
                "status": 200,
            },
        ),
        (
            ("invoices", "get", "x", "-f", "jsonl"),
            {"type": "UsageError", "exit_code": 2},
        ),
        (
            ("invoices", "list", "--stauts", "paid", "--format=json"),
            {"type": "UsageError", "exit_code": 2},
        ),
        (
            ("invoices", "update", "4821", "--json"),
            {
                "type": "ArgumentError",
                "exit_code": 2,
                "problems": [
                    {
                        "name": "--status, --memo, --paid-at",
                        "reason": "an update must set one of these",
                    }
                ],
            },
        ),
        (
            ("invoices", "list", "--json", "--format", "csv"),
            {"problems": [{"name": "--json", "reason": "cannot be combined with --format csv"}]},
        ),
        (("journal", "show", "none.db", "-fjson"), {"type": "JournalError", "exit_code": 2}),
    ],
)
def test_an_error_is_one_object(cake, words: tuple[str, ...], wanted: dict[str, object]) -> None:
    ran = cake(*words)
    (found,) = objects(ran.err)
    assert ran.out == ""
    assert found["exit_code"] == ran.code
    assert {name: found[name] for name in wanted} == wanted


def test_an_unknown_outcome_has_its_intent(cake, sandbox: Sandbox) -> None:
    sandbox.fail_next("lost")
    create = ("invoices", "create", "--affiliate-id", "67890")
    ran = cake(*create, "--start-date", "2030-01-01", "--end-date", "2030-01-31", "--json")
    (found,) = objects(ran.err)
    assert (found["type"], found["exit_code"], found["outcome"]) == ("OutcomeUnknown", 7, "unknown")
    assert (found["operation"], found["applied_likely"]) == ("invoices.create", False)
    assert len(str(found["intent"])) == 36


def test_a_limit_has_its_wait(cake, sandbox: Sandbox) -> None:
    sandbox.fail_next("throttled_for_an_hour")
    (found,) = objects(cake("lookups", "currencies", "--json").err)
    assert (found["type"], found["retry_after"], found["exit_code"]) == ("RateLimited", 3600, 5)


def test_without_json_it_is_a_line(cake) -> None:
    for words in (("-f", "csv"), ("--", "--json")):
        assert cake("invoices", "get", "x", *words).err.startswith("aiocake: ")


def test_a_run_with_problems_is_one_object(cake, sandbox: Sandbox, tmp_path: Path) -> None:
    calls = tmp_path / "calls.csv"
    calls.write_text("invoice_id,memo\n4821,a\n999,secret\n4823,c\n", encoding="utf-8")
    sandbox.fail_next("lost", times=3, operation="update_invoice")
    run = ("run", calls, "--journal", tmp_path / "run.db", "--operation", "invoices.update")
    ran = cake(*run, "--concurrency", 1, "--settle", 0, "--json", "--yes")
    assert json.loads(ran.out)["done"] + json.loads(ran.out)["unknown"] == 2
    found = objects(ran.err)[-1]
    assert found["type"] == "RunProblems"
    assert found["exit_code"] == ran.code
    problems = {each["index"]: each for each in found["problems"]}  # type: ignore[attr-defined] # a list
    assert problems[1]["what"] == "invoices.update of invoice 999"
    assert (problems[1]["type"], problems[1]["outcome"]) == ("NotFound", "not_done")
    assert "secret" not in ran.err


def test_shared_options_may_stand_before_the_command(cake, tmp_path: Path) -> None:
    plain = cake("invoices", "get", 4821, "--json")
    assert cake("--json", "invoices", "get", 4821) == plain
    assert cake("--format=json", "--timeout", 5, "invoices", "get", 4821) == plain
    out = tmp_path / "a.csv"
    assert cake("-o", out, "lookups", "currencies").code == 0
    assert out.read_text(encoding="utf-8").startswith("currency_id,")
    assert "No such option: --status" in cake("--status", "paid", "invoices", "list").err
    assert cake("--json", "--version") == cake("--version")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--profile"], "Option '--profile' requires an argument"),
        (["--debug", "--out"], "Option '--out' requires an argument"),
        (["--profile", "live"], "Missing command"),
        (["--debug"], "Missing command"),
    ],
)
def test_shared_options_without_a_command_are_known_options(cake, words, said: str) -> None:
    ran = cake(*words)
    assert (ran.code, ran.err) == (2, f"aiocake: {said} (see aiocake --help)\n")


def test_a_list_is_limited_and_chosen_from(cake, sandbox: Sandbox) -> None:
    stored = [each for each in sandbox.state.invoices.values() if each.advertiser_id]
    pounds = [each.invoice_id for each in stored if each.currency == "GBP"]
    chosen = ("invoices", "list", "--kind", "revenue", "--currency", "GBP", "-f", "jsonl")
    read = [json.loads(line)["invoice_id"] for line in cake(*chosen).out.splitlines()]
    assert read == pounds
    assert len(pounds) > 1
    assert cake(*chosen, "--limit", 1).out.count("\n") == 1
    assert cake(*chosen[:4], "--currency", "gbp", "-f", "jsonl") == cake(*chosen)
    export = ("bills", "export", "--period", "2014", "-f", "jsonl", "--limit", 3)
    assert cake(*export).out.count("\n") == 3
    totals = json.loads(cake("invoices", "list", "--limit", 5, "--totals", "--json").out)
    assert sum(each["count"] for each in totals) == 5


def test_debug_shows_each_attempt(cake, sandbox: Sandbox) -> None:
    sandbox.fail_next("server_error")
    ran = cake("invoices", "get", 4821, "--debug")
    assert ran.code == 0
    said = [line.removeprefix("aiocake: ").partition(":")[0] for line in ran.err.splitlines()]
    assert said.count("attempt ended") == 2
    assert said.index("attempt ended") < said.index("retry scheduled")
    assert "canary" not in ran.err
