"""`verso restore` that dies at a chosen point: name of a step of `bot.restore`, which call of it, arguments.

The process kills itself right before that call, with the signal that nothing can catch.
"""

from __future__ import annotations

import os
import signal
import sys

import bot.restore
from bot import restore_mark
from bot.cli import run


def die_at(name: str, call: int) -> None:
    room = restore_mark if name == "end" else bot.restore
    step, calls = getattr(room, name), 0

    def dying(*arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == call:
            os.kill(os.getpid(), signal.SIGKILL)
        return step(*arguments, **options)

    setattr(room, name, dying)


if __name__ == "__main__":
    die_at(sys.argv[1], int(sys.argv[2]))
    sys.exit(run(["restore", *sys.argv[3:]]))
