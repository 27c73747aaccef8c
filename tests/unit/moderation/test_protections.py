"""The protected list: what is asked for counts at once, everywhere in its workspace."""

from __future__ import annotations

import numpy as np
import pytest

from moderation.errors import ProtectedError
from moderation.moderator import Moderator
from moderation.normalize import normalize
from moderation.policy import Policy
from moderation.protected import NOTHING, ProtectedList
from moderation.protections import Protections
from moderation.types import Action, Category, ImageContent, PromptContent, Scope

ASKED = {"requested_by": "The Quibble estate", "reason": "likeness", "actor": "mod"}


async def add(protections, term="Marlo Quibblestone", kind="name", workspace="w1", **values):
    return await protections.add(workspace, kind=kind, term=term, **(ASKED | values))


def found(entries: ProtectedList, text: str) -> list[str]:
    return [entry.term for entry in entries.find(normalize(text))]


@pytest.mark.parametrize(
    "prompt",
    [
        "a portrait of Marlo Quibblestone at sea",
        "MARLO QUIBBLESTONE",
        "marlo  quibblestone, oil",
        "m4rl0 qu1bbl3stone",
        "mаrlo quibblestоne",  # two Cyrillic letters
        "Ｍａｒｌｏ Ｑｕｉｂｂｌｅｓｔｏｎｅ",
        "Márlo Quibblestone",
        "marloquibblestone style",
        "m a r l o quibblestone",
    ],
)
async def test_a_name_is_found_in_every_spelling(engine, prompt):
    protections = Protections(engine)
    await add(protections)
    assert found(await protections.current("w1"), prompt) == ["Marlo Quibblestone"]


@pytest.mark.parametrize(
    "prompt", ["marlo the cat", "quibblestone quarry", "Marlo. Quibblestone is a village", ""]
)
async def test_half_a_name_is_nobody(engine, prompt):
    protections = Protections(engine)
    await add(protections)
    assert found(await protections.current("w1"), prompt) == []


async def test_a_name_with_accents_is_found_without_them(engine):
    protections = Protections(engine)
    await add(protections, term="Zoë Brûlé-Karr")
    entries = await protections.current("w1")
    assert found(entries, "zoe brule karr on a bike") == ["Zoë Brûlé-Karr"]
    assert found(entries, "ZOË BRÛLÉ KARR") == ["Zoë Brûlé-Karr"]


async def test_workspaces_are_apart(engine):
    protections = Protections(engine)
    await add(protections)
    assert await protections.current("w2") is NOTHING
    assert [entry.term for entry in await protections.entries("w2")] == []
    assert len(await protections.entries()) == 1


async def test_another_process_sees_a_change_at_once(engine):
    mine, theirs = Protections(engine), Protections(engine)
    await add(mine)
    first = await theirs.current("w1")
    assert await theirs.current("w1") is first  # nothing changed: nothing is read again
    entry = await add(mine, term="Zorblax Cola", kind="mark", action=Action.BLOCK)
    assert found(await theirs.current("w1"), "a zorblax cola can") == ["Zorblax Cola"]
    await mine.remove(entry.id, actor="mod")
    assert found(await theirs.current("w1"), "a zorblax cola can") == []
    with pytest.raises(ProtectedError):
        await mine.remove(entry.id, actor="mod")


async def test_another_workspace_cannot_remove(engine):
    protections = Protections(engine)
    entry = await add(protections)
    with pytest.raises(ProtectedError):
        await protections.remove(entry.id, actor="mod", workspace_id="w2")
    assert len(await protections.entries("w1")) == 1


@pytest.mark.parametrize(
    "values",
    [
        {"term": " "},
        {"term": "x" * 201},
        {"term": "a."},
        {"requested_by": " "},
        {"reason": ""},
        {"action": Action.ALLOW},
        {"kind": "song"},
        {"kind": "image"},
        {"pdq": bytes(32)},
        {"kind": "image", "pdq": bytes(31)},
    ],
)
async def test_an_incomplete_entry_is_refused(engine, values):
    protections = Protections(engine)
    with pytest.raises(ProtectedError):
        await add(protections, **values)
    assert await protections.entries() == ()


def test_pictures_within_the_threshold_are_alike():
    near, far = bytearray(32), bytearray(32)
    near[:3] = b"\xff\xff\xff"  # 24 bits
    near[3] = 0b1111_1110  # 31 bits
    far[:4] = b"\xff" * 4  # 32 bits

    from moderation.protected import ProtectedEntry

    entry = ProtectedEntry(
        id="e1",
        workspace_id="w1",
        kind="image",
        term="a print",
        pdq=bytes(32),
        action=Action.HOLD,
        created_ms=1,
        **ASKED,
    )
    entries = ProtectedList([entry])
    assert entries.alike([bytes(near)]) == (entry,)
    assert entries.alike([bytes(far)]) == ()
    assert entries.alike([bytes(far), bytes(near)]) == (entry,)
    assert entries.alike([]) == ()
    assert NOTHING.alike([bytes(32)]) == ()


def a_moderator(protections, **values):
    return Moderator.open(Policy.load(), rules=["protected"], protected=protections.current, **values)


async def test_the_moderator_does_what_the_entry_says_and_names_the_clause(engine):
    protections = Protections(engine)
    await add(protections)
    await add(protections, term="Zorblax", kind="mark", action=Action.BLOCK)
    moderator = a_moderator(protections)
    held = await moderator.review(PromptContent(text="marlo quibblestone"), Scope(workspace_id="w1"))
    assert [(f.category, f.action, f.clause) for f in held.findings] == [
        (Category.REAL_PERSON, Action.HOLD, "house/rights_holder")
    ]
    blocked = await moderator.review(
        PromptContent(text="marlo quibblestone drinks zorblax"), Scope(workspace_id="w1")
    )
    assert blocked.action is Action.BLOCK
    assert {f.category for f in blocked.findings} == {Category.REAL_PERSON, Category.TRADEMARK}
    elsewhere = await moderator.review(PromptContent(text="marlo quibblestone"), Scope(workspace_id="w2"))
    assert elsewhere.action is Action.ALLOW
    moderator.close()


async def test_a_list_that_cannot_be_read_holds():
    async def broken(workspace_id):
        raise OSError(workspace_id)

    moderator = Moderator.open(Policy.load(), rules=["protected"], protected=broken)
    verdict = await moderator.review(PromptContent(text="a red apple"), Scope())
    assert verdict.action is Action.HOLD
    moderator.close()


async def test_pictures_are_compared_by_their_fingerprint(engine):
    protections = Protections(engine)
    await add(protections, term="a print", kind="image", pdq=bytes(32), action=Action.BLOCK)
    picture = ImageContent(pixels=np.zeros((8, 8, 3), np.uint8))
    seen = a_moderator(protections, fingerprint=lambda _: (b"\xff" * 32, bytes(32)))
    assert (await seen.review(picture, Scope(workspace_id="w1"))).action is Action.BLOCK
    seen.close()
    other = a_moderator(protections, fingerprint=lambda _: (b"\xff" * 32,))
    assert (await other.review(picture, Scope(workspace_id="w1"))).action is Action.ALLOW
    other.close()
    blind = a_moderator(protections)  # nobody can compare: somebody has to look
    assert (await blind.review(picture, Scope(workspace_id="w1"))).action is Action.HOLD
    blind.close()


async def test_an_entry_with_an_id_of_its_own_is_added_once(engine):
    protections = Protections(engine)
    first = await add(protections, entry_id="0" * 16)
    version = (await protections.current("w1")).version
    await add(protections, entry_id="0" * 16)
    assert [entry.id for entry in await protections.entries()] == [first.id]
    assert (await protections.current("w1")).version == version
