"""What may be illegal: out of sight at once, preserved through erasure, exported sealed, then destroyed."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import zipfile

import pytest
from cryptography.hazmat.primitives import hashes, padding
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from bot.cli.imagine import terminal_origin
from bot.conversation import AskCommand, ButtonCommand
from bot.errors import NotFoundError, UsageError
from bot.locked_file import ITERATIONS
from bot.usecases.quarantine import Case
from bot.usecases.review import NotModerator
from moderation.rules.minors import MinorsRule

PROMPT = "a very particular teapot on the grass"
PASSPHRASE = "a long enough passphrase"


def mod(house, workspace="room:1"):
    return house.origin("mod", moderator=True, workspace=workspace)


def opened(data: bytes) -> dict[str, bytes]:
    derived = PBKDF2HMAC(hashes.SHA256(), 48, data[8:16], ITERATIONS).derive(PASSPHRASE.encode())
    decryptor = Cipher(algorithms.AES(derived[:32]), modes.CBC(derived[32:])).decryptor()
    unpadder = padding.PKCS7(128).unpadder()
    plain = unpadder.update(decryptor.update(data[16:]) + decryptor.finalize()) + unpadder.finalize()
    with zipfile.ZipFile(io.BytesIO(plain)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


async def test_a_marked_picture_is_gone_for_everybody_and_outlives_erasure(house, monkeypatch) -> None:
    app = house.app
    async with house.drawing():
        job_id, post = await house.drawn(PROMPT, seed=3)
    (release,) = await app.releases.of_job(job_id)
    image_id, file = release.image_id, post.images[0].data
    assert isinstance(await app.quarantine.mark(house.origin("eve"), image_id), NotModerator)
    with pytest.raises(NotFoundError):
        await app.quarantine.mark(mod(house, "room:2"), image_id)

    case = await app.quarantine.mark(mod(house), image_id)
    assert isinstance(case, Case)
    assert (await app.quarantine.mark(mod(house), image_id)).id == case.id  # twice is once
    assert case.digests["sha256"] == hashlib.sha256(file).hexdigest()
    await app.courier.drain()
    assert len(house.room.removed) == 1
    assert house.room.notices == []  # nobody is warned
    job = await app.queue.get(job_id)
    assert await app.finisher.of_job(job) == ((), ())
    ada = await app.vault.find("room", "room:1", "ada")
    assert await app.accounts.pictures(ada) == ()
    history = await house.say(AskCommand(origin=house.origin(), what="history"))
    assert PROMPT not in str(history)
    with pytest.raises(NotFoundError):
        await app.evidence.collect(house.origin("law"), image_id, found=file)
    for name, target in (("vary", image_id), ("reroll", job_id)):
        refused = await house.say(ButtonCommand(origin=house.origin(), name=name, target=target))
        assert refused.tone == "bad"
    leaves = [leaf.entry for leaf in await app.ledger.of_image(image_id)]
    assert leaves[-1].public["quarantine"] == case.id

    await app.accounts.erase(ada)
    raw = b"".join(path.read_bytes() for path in house.settings.data_dir.glob("verso.db*"))
    assert PROMPT.encode() not in raw
    operator = terminal_origin("op")
    with pytest.raises(UsageError, match="Confirm"):
        await app.quarantine.export(operator, case.id, confirmed="yes", passphrase=PASSPHRASE)
    with pytest.raises(UsageError, match="terminal"):
        await app.quarantine.export(mod(house), case.id, confirmed=case.id, passphrase=PASSPHRASE)
    with pytest.raises(UsageError, match="characters"):
        await app.quarantine.export(operator, case.id, confirmed=case.id, passphrase="short")
    sealed = await app.quarantine.export(operator, case.id, confirmed=case.id, passphrase=PASSPHRASE)
    assert file[:64] not in sealed
    members = opened(sealed)
    assert members["picture.png"] == file
    words = json.loads(members["words.json"])
    assert (words["prompt"], words["platform"], words["user_id"]) == (PROMPT, "room", "ada")
    assert json.loads(members["case.json"])["case"] == case.id

    assert await app.quarantine.sweep() == 0
    later = case.keep_until_ms + 1
    monkeypatch.setattr(app.quarantine._quarantine, "_now_ms", lambda: later)
    assert await app.quarantine.sweep() == 1
    assert not [path for path in house.settings.blobs_dir.rglob("*") if path.is_file()]
    with pytest.raises(UsageError, match="over"):
        await app.quarantine.export(operator, case.id, confirmed=case.id, passphrase=PASSPHRASE)
    assert (await app.ledger.audit()).ok


async def test_retention_leaves_a_case_alone(house, monkeypatch) -> None:
    app = house.app
    async with house.drawing():
        job_id, _ = await house.drawn(PROMPT)
    (release,) = await app.releases.of_job(job_id)
    case = await app.quarantine.mark(mod(house), release.image_id)
    await app.courier.drain()
    later = release.created_ms + 400 * 86_400_000
    monkeypatch.setattr("bot.usecases.retention.now_ms", lambda: later)
    assert await app.retention.sweep() == 2
    sealed = await app.quarantine.export(
        terminal_origin("op"), case.id, confirmed=case.id, passphrase=PASSPHRASE
    )
    assert "picture.png" in opened(sealed)


async def test_a_mistake_is_lifted(house) -> None:
    app = house.app
    async with house.drawing():
        job_id, _ = await house.drawn(PROMPT)
    (release,) = await app.releases.of_job(job_id)
    case = await app.quarantine.mark(mod(house), release.image_id)
    await app.quarantine.lift(mod(house), case.id)
    ada = await app.vault.find("room", "room:1", "ada")
    assert len(await app.accounts.pictures(ada)) == 1
    assert await app.quarantine.cases(mod(house)) == ()


async def test_the_rule_of_zero_tolerance_closes_off_the_words(house, monkeypatch) -> None:
    app = house.app
    await app.moderator.warm()
    rule = app.moderator._rules["minors"]
    assert isinstance(rule, MinorsRule)

    def check(self, content, scope, context):
        del self
        text = getattr(content, "text", "")
        score = 1.0 if "placeholder zorble" in text else 0.0
        found = context.finding(rule="minors", category=rule.category, score=score, scope=scope)
        return (found,) if score else ()

    monkeypatch.setattr(MinorsRule, "check", check)
    reply = await house.imagine("a placeholder zorble")
    assert reply.tone == "bad"
    assert [button.name for button in reply.buttons] == []  # no appeal
    (case,) = await app.quarantine.cases(mod(house))
    assert (case.index, case.actor, str(case.category)) == (None, "automatic", "minors")
    history = await house.say(AskCommand(origin=house.origin(), what="history"))
    assert "zorble" not in str(history)
    assert "zorble" not in repr(dataclasses.replace(case))
    sealed = await app.quarantine.export(
        terminal_origin("op"), case.id, confirmed=case.id, passphrase=PASSPHRASE
    )
    assert json.loads(opened(sealed)["words.json"])["prompt"] == "a placeholder zorble"
