"""The terminal as a platform: pictures become files in a folder, words go to whoever watches."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable
from pathlib import Path

from bot.conversation import ImageFile, Origin, Progress, Reply
from bot.errors import PlatformForbiddenError


class TerminalPlatform:
    """Delivers to files. `out` of the origin's token names the folder, so any process can deliver."""

    name = "terminal"

    def __init__(
        self,
        *,
        on_progress: Callable[[Progress], None] | None = None,
        on_notice: Callable[[Reply], None] | None = None,
    ) -> None:
        self._on_progress, self._on_notice = on_progress, on_notice

    async def run(self, stop: asyncio.Event) -> None:
        """There is nothing to connect to."""
        await stop.wait()

    async def placeholder(self, origin: Origin, text: str) -> str | None:
        """A terminal shows progress in place; the folder is all that needs remembering."""
        del text
        return json.dumps({"out": folder_of(origin).as_posix()})

    async def update(self, post: str, progress: Progress) -> None:
        """Hand progress to whoever watches."""
        del post
        if self._on_progress is not None:
            self._on_progress(progress)

    async def fill(self, origin: Origin, post: str | None, reply: Reply, *, key: str) -> str:
        """Write the pictures as files: by temporary name and rename, so that none is ever half-written.

        Raises:
            PlatformForbiddenError: the folder cannot be written.
        """
        del key
        folder = Path(json.loads(post)["out"]) if post else folder_of(origin)
        try:
            paths = await asyncio.to_thread(_write, folder, reply.images)
        except OSError as error:
            raise PlatformForbiddenError(f"cannot write to {folder}: {error.strerror}") from error
        return json.dumps({"out": folder.as_posix(), "files": [path.as_posix() for path in paths]})

    async def notify(self, origin: Origin, reply: Reply) -> None:
        """Hand a notice to whoever watches."""
        del origin
        if self._on_notice is not None:
            self._on_notice(reply)

    async def remove(self, post: str) -> None:
        """Delete the files of a post."""
        for name in json.loads(post).get("files", ()):
            await asyncio.to_thread(Path(name).unlink, missing_ok=True)


def folder_of(origin: Origin) -> Path:
    """The folder that a terminal command named."""
    return Path(json.loads(origin.token or "{}").get("out", "out"))


def _write(folder: Path, images: tuple[ImageFile, ...]) -> tuple[Path, ...]:
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for image in images:
        target = folder / image.name
        temporary = target.with_suffix(f".{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                file.write(image.data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        finally:
            temporary.unlink(missing_ok=True)
        paths.append(target)
    return tuple(paths)
