"""Editors: check a file, hand it in, correct an item."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from publisher.commands import views
from publisher.commands.base import Command, actor_option, command, opened, option, who, worst
from publisher.commands.failures import Exit, Failure, as_failure, intake_failure
from publisher.commands.findings import show_findings, summary, view
from publisher.commands.out import Out
from publisher.texts import Text, bilingual, mark

if TYPE_CHECKING:
    from publisher.app import App
    from publisher.desk import Filed, Paper

FILES = click.Argument(["files"], nargs=-1, required=True, metavar="FILE...")


def set_option() -> click.Option:
    return option(
        "--set",
        "overrides",
        multiple=True,
        metavar="KEY=VALUE",
        help=mark("Set or replace a field of the file, such as --set column=notices. May be repeated."),
    )


def read_overrides(pairs: Sequence[str]) -> dict[str, str]:
    """Raises `Failure` naming the pair that has no `=`; the value is not shown."""
    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not equals or not key.strip():
            raise Failure(
                Exit.USAGE,
                "override",
                bilingual("--set {key} has no value.", key=key),
                bilingual("Write --set KEY=VALUE."),
            )
        found[key.strip()] = value
    return found


def read_paper(path: Path, overrides: Mapping[str, str], limit: int) -> Paper:
    """One byte more than `limit` is read, so that the intake sees that the file is too large."""
    from publisher.desk import Paper
    from publisher.intake import DirectoryFiles

    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        message = bilingual("{path} cannot be read: {what}.", path=path, what=error.strerror or type(error).__name__)
        raise Failure(Exit.USAGE, "file", message, bilingual("Check the name and the rights of the file.")) from None
    return Paper(raw, path.name, DirectoryFiles(path.resolve().parent), overrides=dict(overrides))


def paper_for(app: App, path: str, overrides: Mapping[str, str]) -> Paper:
    return read_paper(Path(path), overrides, app.settings.source_mb * 1024 * 1024)


@command(
    "check",
    mark("Run the checklist on files without queueing them. Ends with 1 when something blocks."),
    FILES,
    set_option(),
)
async def check(out: Out, *, files: tuple[str, ...], overrides: tuple[str, ...]) -> int:
    replaced = read_overrides(overrides)
    answers: list[dict[str, Any]] = []
    async with opened(out) as app:
        with out.progress(mark("Checking"), len(files)) as advance:
            statuses = []
            for path in files:
                statuses.append(await _check_one(out, app, path, replaced, answers))
                advance(1)
    out.data({"files": answers})
    return worst(statuses)


async def _check_one(out: Out, app: App, path: str, overrides: Mapping[str, str], answers: list[dict[str, Any]]) -> int:
    try:
        submission, verdict = await app.desk.check(paper_for(app, path, overrides))
    except Exception as error:
        return _bad_file(out, path, error, answers)
    findings = verdict.report.findings
    answers.append(
        {
            "file": path,
            "title": submission.content.title,
            "blocked": verdict.blocked,
            "ruleset": verdict.report.ruleset,
            "findings": [view(f, submission.locate) for f in findings],
            "notes": [_note(n) for n in submission.notes],
        }
    )
    out.line(f"{path}: {submission.content.title}", style="bold")
    _show_notes(out, path, submission)
    show_findings(out, findings, submission.content, path=path, locate=submission.locate)
    out.line(out.of(summary(findings)))
    if verdict.blocked:
        out.say("It would be held. Mend what blocks and check again.", style="bold red")
    else:
        out.say("Nothing blocks it.", style="green")
    return Exit.FOUND if verdict.blocked else Exit.OK


def _note(note: Any) -> dict[str, Any]:
    return {"field": note.field, "line": note.line, "message": note.message.as_dict()}


def _show_notes(out: Out, path: str, submission: Any) -> None:
    for note in submission.notes:
        place = f"{path}:{note.line}" if note.line else path
        out.line(f"{place}: {note.field}: {out.of(note.message)}", style="cyan")


def _bad_file(out: Out, path: str, error: Exception, answers: list[dict[str, Any]]) -> int:
    """Shows what is wrong with one of several files; the others go on."""
    failure = _file_failure(error, path)
    failure.show(out.errors, out.language, as_json=False)
    answers.append({"file": path, "error": failure.to_dict()})
    return failure.status


def _file_failure(error: Exception, path: str) -> Failure:
    from publisher.intake import IntakeError

    return intake_failure(error, path) if isinstance(error, IntakeError) else as_failure(error)


@command(
    "submit",
    mark("Put files in the queue as new items (Markdown, JSON, HTML or plain text)."),
    FILES,
    set_option(),
    actor_option(),
)
async def submit(out: Out, *, files: tuple[str, ...], overrides: tuple[str, ...], actor: str | None) -> int:
    replaced = read_overrides(overrides)
    answers: list[dict[str, Any]] = []
    async with opened(out) as app:
        with out.progress(mark("Submitting"), len(files)) as advance:
            statuses = []
            for path in files:
                statuses.append(await _submit_one(out, app, path, replaced, who(actor), answers))
                advance(1)
    out.data({"files": answers})
    return worst(statuses)


async def _submit_one(
    out: Out, app: App, path: str, overrides: Mapping[str, str], actor: str, answers: list[dict[str, Any]]
) -> int:
    try:
        filed = await app.desk.submit(paper_for(app, path, overrides), actor=actor)
    except Exception as error:
        return _bad_file(out, path, error, answers)
    answers.append({"file": path, **filed_view(filed)})
    out.say("{path}: stored as item {item}.", path=path, item=filed.revision.item_id, style="bold")
    _show_notes(out, path, filed.submission)
    return show_filed(out, app, filed, path)


def filed_view(filed: Filed) -> dict[str, Any]:
    locate = filed.submission.locate
    return {
        **views.revision(filed.revision),
        "blocked": filed.verdict.blocked,
        "findings": [view(f, locate) for f in filed.verdict.report.findings],
        "notes": [_note(n) for n in filed.submission.notes],
    }


def show_filed(out: Out, app: App, filed: Filed, path: str) -> int:
    """What was stored, what the checklist says and what comes next."""
    revision, submission = filed.revision, filed.submission
    out.say("Revision {number}: {title}", number=revision.number, title=revision.title)
    out.say("Hash {hash}", hash=revision.content_hash)
    findings = filed.verdict.report.findings
    show_findings(out, findings, submission.content, path=path, locate=submission.locate)
    out.line(out.of(summary(findings)))
    if filed.verdict.blocked:
        out.line(out.of(held_next(revision.item_id)), style="bold red")
        return Exit.FOUND
    stages = ", ".join(app.signing.stages)
    out.say("Next: sign-offs for {stages}.", stages=stages)
    out.say(
        "gongbao approve {item} --as NAME --stage {stage} --hash {hash}",
        item=revision.item_id,
        stage=app.signing.stages[0],
        hash=revision.content_hash[:12],
    )
    return Exit.OK


def held_next(item_id: str) -> Text:
    return bilingual(
        "Held by the checklist; nothing is sent. Mend the text: gongbao correct {item} FILE.", item=item_id
    )


@command(
    "correct",
    mark("Submit a new text for an item. It needs new sign-offs; what is out stays until they are given."),
    click.Argument(["item"], metavar="ITEM"),
    click.Argument(["file"], metavar="FILE"),
    option("--note", required=True, metavar="TEXT", help=mark("Public sentence: what was wrong.")),
    set_option(),
    actor_option(),
)
async def correct(out: Out, *, item: str, file: str, note: str, overrides: tuple[str, ...], actor: str | None) -> int:
    replaced = read_overrides(overrides)
    async with opened(out) as app:
        try:
            filed = await app.desk.correct(item, paper_for(app, file, replaced), note=note, actor=who(actor))
        except Exception as error:
            raise _file_failure(error, file) from error
        out.data(filed_view(filed))
        out.say("{item}: revision {number} is stored.", item=item, number=filed.revision.number, style="bold")
        _show_notes(out, file, filed.submission)
        return show_filed(out, app, filed, file)


COMMANDS: tuple[Command, ...] = (check, submit, correct)
