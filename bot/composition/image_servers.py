"""The image servers of a catalog: how many jobs they take, and whether they answer."""

from __future__ import annotations

from bot.settings import secret_of
from generation.card import ModelCard
from generation.catalog import Catalog
from generation.errors import GenerationError
from generation.image_client import ImageClient


def slots_of(catalog: Catalog) -> int:
    """How many jobs a worker holds: one that is drawn here, and those that wait for image servers."""
    return 1 + sum(card.server.in_flight for card in catalog if card.server is not None)


async def answer_of(card: ModelCard) -> str:
    """What a card's server says when it is asked for its models; for a person.

    Raises:
        GenerationError: it does not answer as it should, or its API key is not set.
    """
    from generation.families.openai_images import key_of  # noqa: PLC0415 - with the other families

    if card.server is None:
        raise GenerationError(f"{card.id} has no image server")
    key = key_of(card, secret_of)
    client = ImageClient(card.server, key=key)
    try:
        names = await client.models()
    finally:
        await client.close()
    open_key = key is not None and card.server.base_url.startswith("http://")
    notes = "" if card.server.model in names else f"; it does not list {card.server.model}"
    notes += "; its API key goes there unencrypted" if open_key else ""
    return f"answers, lists {len(names)} model{'' if len(names) == 1 else 's'}{notes}"
