"""Auditors: recompute the log, offline, and compare the tables with it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import click

from content_queue.audit_log import Fault, FaultKind, NoteError, Verified, parse_vkey, verify
from publisher.commands.base import Command, command, option, settings
from publisher.commands.failures import Exit, Failure
from publisher.commands.out import Advance, Out, stamp
from publisher.commands.replay import Mismatch, Replay, compare, watch
from publisher.commands.signed import Forged, SignedReplay
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from content_queue.model import Delivery
    from content_queue.store import RevisionMark, Store
    from publisher.app import Settings

Wrong = Sequence[Mismatch | Forged]

EVERYTHING = 2**62  # rows; more than any database has
LOOKS = 5  # how often a row that moves under our eyes is looked at again
SHOWN = 20  # rows named one by one for people; JSON names all
STEP = 1_000  # entries between two moves of the progress bar

K = FaultKind
_FAULTS: Mapping[FaultKind, str] = MappingProxyType(
    {
        K.CHANGED: mark("Entry {entry} at place {place} was changed after it was sealed."),
        K.MISSING: mark("The entry at place {place} is missing."),
        K.INSERTED: mark("Entry {entry} at place {place} was put in after this part was sealed."),
        K.REORDERED: mark("Entry {entry} stands at place {place}, where it was not sealed: entries were swapped."),
        K.RENUMBERED: mark("The entry at place {place} (id {entry}) was given another row number."),
        K.MALFORMED: mark("Entry {entry} at place {place} is no possible entry."),
        K.OUT_OF_ORDER: mark("Entry {entry} at place {place} does not come after the one before it."),
        K.BATCH_MISSING: mark("Batch {batch} (from place {place}) is missing."),
        K.BATCH_MALFORMED: mark("The row of batch {batch} contradicts itself or the batch before it."),
        K.LEAVES_CHANGED: mark("Batch {batch} keeps another hash for place {place} (entry {entry}) than was signed."),
        K.CHECKPOINT_INVALID: mark("The checkpoint of batch {batch} is not signed with this key."),
        K.CHECKPOINT_WRONG: mark("The checkpoint of batch {batch} was signed for other entries than these."),
        K.EPOCH_BACKWARDS: mark("The epoch of batch {batch} is lower than the one before it."),
        K.WITNESS_INVALID: mark("A checkpoint that you kept is not signed by this log."),
        K.WITNESS_DISAGREES: mark(
            "The log was rewritten before place {place}: a checkpoint that you kept says otherwise."
        ),
        K.TRUNCATED: mark(
            "The end of the log is missing, from place {place} on: a checkpoint that you kept reaches further."
        ),
    }
)


def fault_text(fault: Fault) -> Text:
    values = {"place": fault.leaf_index, "entry": fault.entry_id, "batch": fault.batch_number}
    return bilingual(_FAULTS[fault.kind], **{k: "?" if v is None else v for k, v in values.items()})


@command(
    "verify-log",
    mark(
        "Recompute the whole log and compare texts, sign-offs and deliveries with it. "
        "Ends with 1 and names the first wrong entry."
    ),
    option(
        "--public-key",
        "key",
        metavar="FILE|VKEY",
        help=mark("The log's public key (otherwise the one in the data folder)."),
    ),
    option(
        "--checkpoint",
        "checkpoints",
        multiple=True,
        metavar="FILE",
        help=mark(
            "A checkpoint kept elsewhere; without one, an end that was cut off cannot be noticed. May be repeated."
        ),
    ),
)
async def verify_log(out: Out, *, key: str | None, checkpoints: tuple[str, ...]) -> int:
    from content_queue.store import revision_marks

    chosen = settings()
    origin, public_key = read_key(key, chosen)
    witnessed = [read_text(Path(path)) for path in checkpoints]
    store = open_existing(chosen)
    try:
        replay, signed = Replay(), SignedReplay()
        with out.progress(mark("Verifying entries")) as advance:

            def use(
                entries: Iterable[Sequence[Any]], batches: Iterable[Sequence[Any]], marks: Iterable[RevisionMark]
            ) -> tuple[Verified | Fault, list[Forged]]:
                rows = _counted(watch(entries, replay, signed), advance)
                found = verify(rows, batches, public_key, witnessed=witnessed, origin=origin)
                return found, [] if isinstance(found, Fault) else list(signed.compare(marks))

            found, forged = await store.log.read_all(use, revision_marks)
        wrong: Wrong = [] if isinstance(found, Fault) else [*forged, *await compare_deliveries(store, replay)]
    finally:
        await store.close()
    out.data(_answer(found, wrong, witnessed=len(witnessed)))
    _say(out, found, wrong, own_key=key is None, witnessed=bool(witnessed))
    return Exit.FOUND if isinstance(found, Fault) or wrong else Exit.OK


def read_key(given: str | None, chosen: Settings) -> tuple[str, Any]:
    """(origin, key). Raises `Failure`."""
    from publisher.keys import PUBLIC_FILE

    path = Path(given) if given else chosen.data_dir / "keys" / PUBLIC_FILE
    text = given if given and "+" in given and not path.exists() else read_text(path)
    try:
        return parse_vkey(text.strip())
    except (NoteError, ValueError):
        message = bilingual("This is no public key of a log.")
        remedy = bilingual("Give a file with a line such as name+12345678+AbC..., or the line itself.")
        raise Failure(Exit.USAGE, "public_key", message, remedy) from None


def read_text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except UnicodeDecodeError:
        raise Failure(Exit.USAGE, "file", bilingual("{path} is not text.", path=path)) from None
    except OSError as error:
        message = bilingual("{path} cannot be read: {what}.", path=path, what=error.strerror or type(error).__name__)
        raise Failure(Exit.USAGE, "file", message) from None


def open_existing(chosen: Settings) -> Store:
    """The database as it is: nothing is created, migrated or written. Raises `Failure` when there is none."""
    from content_queue.store import Store

    file = database_file(chosen)
    if file is not None and not file.is_file():
        message = bilingual("There is no database at {path}.", path=file)
        raise Failure(
            Exit.NOT_FOUND, "no_database", message, bilingual("Set GONGBAO_DATA_DIR or GONGBAO_DATABASE_URL.")
        )
    return Store(chosen.database)


def database_file(chosen: Settings) -> Path | None:
    """The file of an SQLite database; None for a server."""
    scheme, _, path = chosen.database.partition(":///")
    return Path(path.partition("?")[0]) if scheme.startswith("sqlite") else None


def _counted(rows: Iterable[Sequence[Any]], advance: Advance) -> Iterator[Sequence[Any]]:
    number = 0
    for number, row in enumerate(rows, 1):
        if number % STEP == 0:
            advance(STEP)
        yield row
    advance(number % STEP)


async def compare_deliveries(store: Store, replay: Replay) -> list[Mismatch]:
    """The log was read first, the table now: what seems wrong is looked at again, for the service may be running."""
    table = await store.deliveries.listing(limit=EVERYTHING)
    suspects = list(compare(replay.told, table))
    wrong = [m for m in suspects if m.what == "missing"]
    for number in dict.fromkeys(m.delivery_id for m in suspects if m.what != "missing"):
        wrong += await _look_again(store, number)
    return sorted(wrong, key=lambda m: m.delivery_id)


async def _look_again(store: Store, number: int) -> list[Mismatch]:
    found: list[Mismatch] = []
    for _ in range(LOOKS):
        row = await store.deliveries.get(number)
        own = Replay()
        for entry in await store.log.of_delivery(number, row.item_id):
            own.feed(entry.kind, entry.item_id, entry.delivery_id, entry.body)
        told = {n: t for n, t in own.told.items() if n == number}
        found = list(compare(told, [row]))
        if not found or await _same(store, row):
            break
    return found


async def _same(store: Store, row: Delivery) -> bool:
    return await store.deliveries.get(row.id) == row


def _answer(found: Verified | Fault, wrong: Wrong, *, witnessed: int) -> dict[str, Any]:
    if isinstance(found, Fault):
        fault = {
            "kind": str(found.kind),
            "place": found.leaf_index,
            "entry": found.entry_id,
            "batch": found.batch_number,
            "text": fault_text(found).as_dict(),
        }
        return {"ok": False, "fault": fault, "deliveries": None, "revisions": None}
    newest = found.checkpoint
    return {
        "ok": not wrong,
        "fault": None,
        "entries": found.entries,
        "batches": found.batches,
        "unsealed": found.unsealed,
        "root": found.root.hex(),
        "sealed_at": stamp(newest.at_us) if newest else None,
        "checkpoints_compared": witnessed,
        "deliveries": [m.to_dict() for m in wrong if isinstance(m, Mismatch)],
        "revisions": [m.to_dict() for m in wrong if isinstance(m, Forged)],
    }


def _say(out: Out, found: Verified | Fault, wrong: Wrong, *, own_key: bool, witnessed: bool) -> None:
    if isinstance(found, Fault):
        text = fault_text(found)
        for line in (text.en, text.zh):
            out.line(line, style="bold red")
        out.line(str(bilingual("The log is not what was sealed. Keep this database as it is and tell the auditor.")))
        return
    out.say(
        "The log is whole: {entries} entries in {batches} signed batches, {unsealed} not sealed yet.",
        entries=found.entries,
        batches=found.batches,
        unsealed=found.unsealed,
        style="bold green",
    )
    out.say("Root {root}", root=found.root.hex())
    for mismatch in wrong[:SHOWN]:
        for line in (mismatch.text.en, mismatch.text.zh):
            out.line(line, style="bold red")
    if len(wrong) > SHOWN:
        out.say("{count} more rows differ; --json names them all.", count=len(wrong) - SHOWN, style="red")
    if wrong:
        out.line(str(bilingual("The tables were edited behind the log's back.")), style="bold red")
    else:
        out.say("Every text, sign-off and delivery is what the log says.", style="green")
    if own_key:
        out.say("The key came from the data folder itself; an auditor uses a copy kept elsewhere (--public-key).")
    if not witnessed:
        out.say("No checkpoint from outside was compared (--checkpoint): a cut-off end would not be noticed.")


@command(
    "checkpoint",
    mark("Print the newest signed checkpoint. Keep it outside: it proves later that nothing was rewritten."),
)
async def checkpoint(out: Out) -> None:
    store = open_existing(settings())
    try:
        note = await store.log.checkpoint()
    finally:
        await store.close()
    if note is None:
        message = bilingual("Nothing has been sealed yet.")
        raise Failure(Exit.NOT_FOUND, "no_checkpoint", message, bilingual("A running service seals every second."))
    out.data({"checkpoint": note})
    if not out.as_json:
        click.echo(note, nl=False)


COMMANDS: tuple[Command, ...] = (verify_log, checkpoint)
