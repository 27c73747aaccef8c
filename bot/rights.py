"""Answers what people may ask about themselves and about pictures: data, erasure, credits."""

from __future__ import annotations

import asyncio

from attribution.vault import Vault
from bot import account_replies
from bot.account_copy import PICTURES, copy_files, copy_zip
from bot.account_replies import ERASE_WORD
from bot.conversation import AskCommand, ButtonCommand, Origin, Reply
from bot.gallery_page import LicenseOf
from bot.usecases.account import Accounts
from bot.usecases.credits import Credits
from bot.usecases.request import now_ms


class Rights:
    """One's own record, in one's own hands."""

    def __init__(self, *, accounts: Accounts, vault: Vault, credits_: Credits, license_of: LicenseOf) -> None:
        self._accounts, self._vault = accounts, vault
        self._credits, self._license_of = credits_, license_of
        self.buttons = {"credits": self._credited, "forgetme": self._forget}

    async def __call__(self, command: AskCommand) -> Reply:
        """Answer "mydata" or "forgetme".

        Raises:
            AttributionError: the record cannot be opened.
        """
        subject = await self._subject(command.origin)
        if subject is None:
            return account_replies.unknown_here()
        if command.what == "forgetme":
            return account_replies.forget_me(await self._vault.held(subject))
        view, pictures = await self._accounts.show(subject), await self._accounts.pictures(subject)
        files = await asyncio.to_thread(
            copy_files, view, pictures, license_of=self._license_of, made_ms=now_ms()
        )
        limit = command.origin.upload_limit
        data, left_out = await asyncio.to_thread(copy_zip, files, limit=limit)
        if len(data) > limit:
            return account_replies.too_much_data()
        shown = sum(name.startswith(f"{PICTURES}/") for name in files)
        return account_replies.my_data(data, events=len(view.lines), pictures=shown, left_out=left_out)

    async def _forget(self, command: ButtonCommand) -> Reply:
        if command.text.strip().casefold() != ERASE_WORD.casefold():
            return account_replies.not_forgotten()
        subject = await self._subject(command.origin)
        if subject is None:
            return account_replies.unknown_here()
        await self._accounts.erase(subject)
        return account_replies.forgotten()

    async def _credited(self, command: ButtonCommand) -> Reply:
        return account_replies.credits_of(await self._credits.of_job(command.origin, command.target))

    async def _subject(self, origin: Origin) -> str | None:
        """The asker's pseudonym, if there is one: to ask for one's data makes nobody known."""
        return await self._vault.find(origin.platform, origin.workspace_id, origin.user_id)
