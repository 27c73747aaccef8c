"""Removing the app from a workspace starts the schedule on which everybody there is erased."""

from __future__ import annotations

import logging

from attribution.departures import Departures
from attribution.errors import ErasedError, LegalHoldError
from attribution.vault import Vault
from bot.usecases.account import Accounts
from bot.usecases.request import now_ms
from bot.usecases.retention import DAY_MS

log = logging.getLogger(__name__)


class Uninstall:
    """Keeps a workspace's data for some days, in case the removal was a mistake, and then erases it."""

    def __init__(self, *, departures: Departures, vault: Vault, accounts: Accounts, days: int) -> None:
        """`days`: from the removal to the erasure."""
        self._departures, self._vault, self._accounts = departures, vault, accounts
        self._days = days

    async def left(self, workspace_id: str) -> None:
        """The app was removed; a repeat changes nothing."""
        now = now_ms()
        if await self._departures.left(workspace_id, at_ms=now, due_ms=now + self._days * DAY_MS):
            log.info("removed from %s: its people are erased in %d days", workspace_id, self._days)

    async def returned(self, workspace_id: str) -> None:
        """The app is there again: nobody is erased."""
        if await self._departures.returned(workspace_id):
            log.info("back in %s: the erasure is called off", workspace_id)

    async def sweep(self) -> int:
        """Erase everybody of the workspaces whose day has come; gives how many people.

        Whom a legal hold keeps is left, and tried again with every sweep. A sweep that was cut off goes on.
        """
        erased = 0
        for departure in await self._departures.due(now_ms()):
            kept = 0
            for subject in await self._vault.people():
                try:
                    if (await self._vault.identity(subject)).workspace_id != departure.workspace_id:
                        continue
                    await self._accounts.erase(subject)
                    erased += 1
                except ErasedError:  # by themselves, meanwhile
                    continue
                except LegalHoldError:
                    kept += 1
            if not kept:
                await self._departures.done(departure.workspace_id, at_ms=now_ms())
        return erased
