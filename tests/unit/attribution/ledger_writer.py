"""A process that writes to a ledger: URL of the database, key folder, its number, how many entries.

Prints its receipts as JSON lines, and answers a line on standard input with the next batch, so that a test
decides what happens in between.
"""

from __future__ import annotations

import asyncio
import functools
import json
import sys
from pathlib import Path

from attribution.key_index import load_ledger_keys
from attribution.keys import KeyRing
from attribution.ledger import Ledger
from attribution.record import EventKind
from attribution.vault import Vault
from bot.database import open_database


async def main(url: str, folder: Path, writer: int, count: int) -> None:
    engine = open_database(url)
    ring = KeyRing.open(folder)
    ledger = Ledger(
        engine,
        keys=ring.ledger,
        vault=Vault(engine, vault_key=ring.vault_key, lookup_key=ring.lookup_key),
        reload_keys=functools.partial(load_ledger_keys, folder),
    )
    for _ in sys.stdin:
        for number in range(count):
            receipt = await ledger.append(
                EventKind.POSTED, subject="", public={"writer": writer, "number": number}
            )
            sys.stdout.write(json.dumps(receipt.to_json()) + "\n")
        sys.stdout.write("\n")
        sys.stdout.flush()
    await engine.dispose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
