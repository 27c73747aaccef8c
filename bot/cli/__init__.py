"""The command line: `verso`."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sqlite3
from collections.abc import Sequence
from typing import Final

import typer
from sqlalchemy.exc import DatabaseError

from attribution.errors import AttributionError
from bot.cli import (
    bench,
    duty,
    evidence,
    fetch,
    imagine,
    iterate,
    keys,
    ledger,
    operate,
    people,
    profile,
    protect,
    quarantine,
    queue,
    screen,
    takedown,
)
from bot.cli.output import Exit, errors, failure, print_json
from bot.error_words import sentence
from bot.errors import BotError, UsageError
from generation.errors import GenerationError, UnknownModelError
from moderation.errors import ModerationError

# Typer keeps its parser's exceptions private; the bases of the public one are they.
_WRONG_USE: Final = typer.BadParameter.__mro__[1]
_PARSER_ERROR: Final = typer.TyperException

USAGE: Final = 2
FAILED: Final = 1
INTERRUPTED: Final = 130

app = typer.Typer(
    name="verso",
    help="Pictures with a record: who asked, with which words, under which terms, drawn from what.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
)
for module in (
    imagine,
    iterate,
    screen,
    people,
    takedown,
    quarantine,
    queue,
    duty,
    protect,
    evidence,
    ledger,
    operate,
    profile,
    fetch,
    keys,
    bench,
):
    module.register(app)


def run(arguments: Sequence[str]) -> int:
    """Run one command; returns its exit code. An error is one line, never a traceback."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")  # torch's waiting threads leave the cores to others
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    wants_json = "--json" in arguments
    try:
        result = typer.main.get_command(app).main(
            args=list(arguments), prog_name="verso", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except Exit as stop:
        return _tell(stop.code, stop.message, stop.error_code, wants_json=wants_json and bool(stop.message))
    except _PARSER_ERROR as error:
        code = USAGE if isinstance(error, _WRONG_USE) else FAILED
        return _tell(code, error.format_message(), "usage", wants_json=wants_json)
    except (UsageError, UnknownModelError) as error:
        return _tell(USAGE, sentence(error), error.code, wants_json=wants_json)
    except (BotError, GenerationError, ModerationError, AttributionError) as error:
        return _tell(FAILED, sentence(error), error.code, wants_json=wants_json)
    except (DatabaseError, sqlite3.Error) as error:
        reason = str(getattr(error, "orig", error)).splitlines()[0]
        return _tell(FAILED, f"The database cannot be used: {reason}.", "database", wants_json=wants_json)
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _tell(FAILED, f"{error.strerror or error}{where}.", "system", wants_json=wants_json)
    except (KeyboardInterrupt, typer.Abort, asyncio.CancelledError):
        return _tell(
            INTERRUPTED,
            "Interrupted; an accepted request stays in the queue.",
            "interrupted",
            wants_json=wants_json,
        )
    except Exception as error:  # the last guard: one line for the user, the trace for the log
        logging.getLogger("bot").debug("unexpected", exc_info=error)
        return _tell(
            FAILED,
            f"Unexpected {type(error).__name__}: {(str(error).splitlines() or ['no details'])[0]}. "
            "Run again with VERSO_LOG_LEVEL=DEBUG for the whole trace.",
            "unexpected",
            wants_json=wants_json,
        )


def _tell(code: int, message: str, error_code: str, *, wants_json: bool) -> int:
    if wants_json:
        print_json(failure(error_code, message))
    if message:
        errors.print(message, style="red" if code not in {0, INTERRUPTED} else None, markup=False)
    return code


def stop_on_signals(stop: asyncio.Event) -> None:
    """Let SIGINT and SIGTERM end a server gracefully."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
