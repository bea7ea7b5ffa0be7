"""Apply each plan only once: the user's state folder records the journal of each plan.

A journal of another plan is refused by what it holds. Two journals of one plan on one host are
refused here: else a second one, begun after the first, would look at each record, find it as it was
planned where the first has not come to yet, and pay beside it. Two hosts know nothing of each
other: there only the look before each row holds; or the journals are in one database, which has
each plan once.
"""

import os
import secrets
from pathlib import Path

from aiocake.bulk.journal_file import FilePlace
from aiocake.bulk.journal_store import JournalPlace
from aiocake.errors import PlanError


def claim(plan_hash: str, journal: JournalPlace) -> None:
    """Record that a plan is applied with a journal, unless it has another one.

    Args:
        plan_hash: The hash of the plan: 64 hexadecimal digits.
        journal: The journal.

    Raises:
        PlanError: It was applied with another journal, or no note can be kept.
    """
    ours = _name(journal)
    try:
        note = _folder() / plan_hash
        aside = note.with_name(f"{plan_hash}.{secrets.token_hex(4)}")
        aside.write_bytes(os.fsencode(ours))
        try:
            # Unlike a rename this fails where there is one, and the note is never there in part.
            os.link(aside, note)
        except FileExistsError:
            theirs = Path(os.fsdecode(note.read_bytes()))
        else:
            theirs = ours
        finally:
            aside.unlink(missing_ok=True)
    except OSError as error:
        if not isinstance(journal, FilePlace):  # its database has each plan once
            return
        raise PlanError(
            f"nothing was sent: no note can be kept that this plan is applied: {_reason(error)}"
        ) from None
    _refuse(theirs, ours)


def refuse_other_journal(plan_hash: str, journal: JournalPlace) -> None:
    """Refuse a plan that was applied with another journal. Records nothing.

    Raises:
        PlanError: It was.
    """
    try:
        theirs = Path(os.fsdecode((_folder() / plan_hash).read_bytes()))
    except OSError:
        return  # claim() says what is wrong with the folder
    _refuse(theirs, _name(journal))


def _name(journal: JournalPlace) -> Path:
    """Return what tells a journal from others: its real path, or its name in a database."""
    if isinstance(journal, FilePlace):
        return Path(os.path.realpath(journal.path))
    return Path(str(journal))


def _refuse(theirs: Path, ours: Path) -> None:
    if theirs != ours:
        raise PlanError(
            f"nothing was sent: this plan was applied before, with the journal {theirs}: resume"
            " that run, or make a new plan of what is left"
        )


def _folder() -> Path:
    """Return the folder of the notes, which only its user can read.

    Raises:
        OSError: There can be none.
    """
    from platformdirs import user_state_path  # noqa: PLC0415 - it takes a while

    folder = user_state_path("aiocake") / "plans"
    if not folder.is_absolute():  # the home folder is unknown
        raise OSError("there is no state folder")
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def _reason(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.strerror else str(error)
