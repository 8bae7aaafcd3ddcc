"""What every command has in common: options, languages, exit codes, and opening the service."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import logging
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

import click

from publisher.commands.failures import Exit, Failure, as_failure
from publisher.commands.out import Out
from publisher.texts import bilingual, mark, translate

if TYPE_CHECKING:
    from publisher.app import App, Settings

LANGUAGES = ("en", "zh")
Body = Callable[..., Awaitable[int | None]]
_chosen: list[str] = []


def language(environ: Any = os.environ) -> str:
    """The reader's: `--lang`, else `GONGBAO_LANG`, else the locale."""
    if _chosen:
        return _chosen[-1]
    for name in ("GONGBAO_LANG", "LC_ALL", "LC_MESSAGES", "LANG"):
        if value := environ.get(name, ""):
            return "zh" if value.lower().startswith("zh") else "en"
    return "en"


def _choose(context: click.Context, _parameter: click.Parameter, value: str | None) -> None:
    if value:
        _chosen.append(value)
        context.find_root().call_on_close(_chosen.clear)


class Option(click.Option):
    """Its help is a message id, shown in the reader's language."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        record = super().get_help_record(ctx)
        if record is None or not self.help:
            return record
        return record[0], record[1].replace(self.help, translate(self.help, language()), 1)


class _Spoken(click.Command):
    """Its help is a message id, shown in the reader's language."""

    def get_short_help_str(self, limit: int = 45) -> str:
        return translate(self.help or "", language()).split("\n")[0]

    def format_help_text(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.indentation():
            formatter.write_paragraph()
            formatter.write_text(translate(self.help or "", language()))

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        params = super().get_params(ctx)
        for param in params:
            if isinstance(param, click.Option) and "--help" in param.opts:
                param.help = translate(mark("Show this text."), language())
        return params


class Command(_Spoken):
    pass


class Group(_Spoken, click.Group):
    command_class = Command

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which they were added: as the work goes."""
        return list(self.commands)


def option(*names: str, help: str, **settings: Any) -> Option:
    return Option(names, help=help, **settings)


def lang_option() -> Option:
    return Option(
        ("--lang",),
        type=click.Choice(LANGUAGES),
        is_eager=True,
        expose_value=False,
        callback=_choose,
        help=mark("Language of the texts (otherwise GONGBAO_LANG or the locale)."),
    )


def actor_option(*, required: bool = False) -> Option:
    return Option(
        ("--as", "actor"),
        metavar="NAME",
        required=required,
        help=mark("Who does this; it stands in the log (otherwise your login name)."),
    )


def limit_option(default: int = 50) -> Option:
    return Option(
        ("-n", "--limit"),
        type=click.IntRange(1, 1_000_000),
        default=default,
        show_default=True,
        help=mark("At most so many."),
    )


def who(actor: str | None) -> str:
    """The name that the log gets: the one given, else the login name."""
    if actor:
        return actor
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return f"uid-{os.getuid()}"


def command(name: str, help: str, *params: click.Parameter, fast_loop: bool = False) -> Callable[[Body], Command]:
    """Makes a click command of an async function `(out, **params) -> exit status or None`.

    `fast_loop` runs it on uvloop, for what serves; short commands start sooner without.
    """

    def wrap(body: Body) -> Command:
        def callback(as_json: bool, **values: Any) -> None:
            out = Out(as_json=as_json, language=language())
            status = run(out, body(out, **values), fast_loop=fast_loop)
            click.get_current_context().exit(int(status or Exit.OK))

        as_json = Option(("--json", "as_json"), is_flag=True, help=mark("Print one JSON document and nothing else."))
        return Command(name, callback=callback, help=help, params=[*params, as_json, lang_option()])

    return wrap


def run(out: Out, work: Awaitable[int | None], *, fast_loop: bool = False) -> int:
    """Runs to the end and answers the exit status; errors are shown, never raised."""

    async def main() -> int | None:
        return await work

    try:
        with asyncio.Runner(loop_factory=_uvloop if fast_loop else None) as runner:
            return int(runner.run(main()) or Exit.OK)
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    except BrokenPipeError:
        raise  # click ends quietly when nobody reads on
    except Exception as error:
        failure = as_failure(error)
        failure.show(out.errors, out.language, as_json=out.as_json)
        if failure.status is Exit.INTERNAL:
            logging.getLogger(__name__).debug("the command failed", exc_info=error)
        return failure.status


def _uvloop() -> asyncio.AbstractEventLoop:
    import uvloop

    return uvloop.new_event_loop()


def settings() -> Settings:
    """Raises `ConfigError`."""
    from publisher.app import load_settings

    return load_settings()


@contextlib.asynccontextmanager
async def opened(out: Out) -> AsyncIterator[App]:
    """The service's objects, nothing running. Imported late: `--help` must be quick."""
    from publisher.app import open_app, set_up
    from publisher.first_start import remembered_accounts

    chosen = settings()
    set_up(chosen.log_level if chosen.log_level == "DEBUG" else "WARNING")
    async with open_app(chosen, extra_accounts=remembered_accounts(chosen)) as app:
        out.zone = app.zone
        yield app


def worst(statuses: Sequence[int]) -> int:
    """Of several things done in one command: bad input and refusals before what the checklist found."""
    return max(statuses, default=Exit.OK)


def unknown_name(code: str, message: str, remedy: str, **values: Any) -> Failure:
    return Failure(Exit.USAGE, code, bilingual(message, **values), bilingual(remedy, **values))
