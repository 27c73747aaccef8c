"""The record: evidence that verifies, erasure that erases, a backup that comes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from attribution.errors import ErasedError
from attribution.verify import verify_bundle, verify_image
from bot.backup import backup
from bot.compose import open_app
from bot.database import open_database
from bot.errors import ConfigurationError
from bot.restore import restore
from bot.settings import Settings

PROMPT = "a very particular teapot on the grass"


async def test_a_bundle_convinces_a_stranger_and_no_altered_one_does(house) -> None:
    async with house.drawing():
        job_id, post = await house.drawn(PROMPT)
    (release,) = await house.app.releases.of_job(job_id)
    found = post.images[0].data
    bundle = await house.app.evidence.collect(house.origin("law"), release.image_id, found=found)
    trust = house.app.keys.ledger_verifier_key

    trusted = verify_bundle(bundle, trust=trust)
    assert trusted.ok, [step for step in trusted.steps if not step.ok]
    assert not trusted.self_certified
    assert verify_bundle(bundle).self_certified
    assert verify_image(found, trust=trust).ok
    middle = bundle.index(b"IDAT") + 40  # a pixel
    assert not verify_bundle(bundle[:middle] + bytes([bundle[middle] ^ 1]) + bundle[middle + 1 :]).ok
    kinds = [str(entry.entry.kind) for entry in await house.app.ledger.of_job(job_id)]
    assert kinds == ["prompt_submitted", "job_accepted", "image_released", "posted"]


async def test_erasing_leaves_no_words_and_the_ledger_still_audits(house) -> None:
    async with house.drawing():
        _, post = await house.drawn(PROMPT)
        await house.drawn(PROMPT, user="bob")
    app = house.app
    subject = await app.vault.find("room", "room:1", "ada")
    assert subject is not None
    assert any(line.private.get("prompt") == PROMPT for line in (await app.accounts.show(subject)).lines)
    await app.accounts.erase(subject)

    with pytest.raises(ErasedError):
        await app.accounts.show(subject)
    raw = b"".join(path.read_bytes() for path in house.settings.data_dir.glob("verso.db*"))
    for word in (PROMPT.encode(), b"Ada", post.images[0].name.encode()):
        assert word not in raw
    assert (await app.ledger.audit()).ok
    bob = await app.vault.find("room", "room:1", "bob")
    assert bob is not None
    assert len(await app.accounts.pictures(bob)) == 1
    back = await app.vault.subject("room", "room:1", "ada", name="Ada")
    assert back != subject  # who comes back is a new person


async def test_retention_lets_go_of_what_is_old_and_the_ledger_still_audits(house, monkeypatch) -> None:
    async with house.drawing():
        job_id, _ = await house.drawn(PROMPT)
    app = house.app
    assert await app.retention.sweep() == 0  # nothing is a year old
    (release,) = await app.releases.of_job(job_id)
    later = release.created_ms + 366 * 86_400_000
    monkeypatch.setattr("bot.usecases.retention.now_ms", lambda: later)
    assert await app.retention.sweep() == 2  # what was drawn, and what was posted
    assert not list(house.settings.blobs_dir.rglob("*.*"))
    assert await app.queue.get(job_id) is None
    raw = b"".join(path.read_bytes() for path in house.settings.data_dir.glob("verso.db*"))
    assert PROMPT.encode() not in raw
    subject = await app.vault.find("room", "room:1", "ada")
    lines = (await app.accounts.show(subject)).lines
    assert {line.kind for line in lines if line.private} == {"terms_accepted"}
    assert (await app.ledger.audit()).ok


async def test_withdrawing_terms_stops_further_pictures(house) -> None:
    async with house.drawing():
        await house.drawn("a dog")
    subject = await house.app.vault.find("room", "room:1", "ada")
    assert await house.app.accounts.withdraw(subject) == 1
    reply = await house.imagine("a cat", accept_terms=False)
    assert [button.name for button in reply.buttons] == ["accept", "decline"]


async def test_a_backup_comes_back_on_either_database(house, database_url: str, tmp_path: Path) -> None:
    async with house.drawing():
        job_id, _ = await house.drawn(PROMPT)
    folder = tmp_path / "backup"
    settings = house.settings
    counts = await backup(house.app.database, blobs=settings.blobs_dir, keys=settings.keys_dir, folder=folder)
    assert counts["blobs"] == 2
    with pytest.raises(ConfigurationError, match="not empty"):
        await backup(house.app.database, blobs=settings.blobs_dir, keys=settings.keys_dir, folder=folder)

    fresh = Settings(data_dir=tmp_path / "fresh", database={"url": database_url}, _env_file=None)
    engine = open_database(database_url)
    await restore(engine, blobs=fresh.blobs_dir, keys=fresh.keys_dir, folder=folder, erased={})
    await engine.dispose()
    assert all(path.stat().st_mode & 0o077 == 0 for path in fresh.keys_dir.iterdir())
    async with open_app(fresh) as app:
        assert (await app.ledger.audit()).ok
        job = await app.queue.get(job_id)
        assert job is not None
        assert job.request.prompt == PROMPT
        assert len((await app.finisher.of_job(job))[0]) == 1


async def test_a_damaged_backup_is_refused_and_nothing_is_written(house, tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    settings = house.settings
    await backup(house.app.database, blobs=settings.blobs_dir, keys=settings.keys_dir, folder=folder)
    victim = folder / "rows" / "jobs.jsonl"
    victim.write_text("{}\n")
    target = tmp_path / "new" / "verso.db"
    engine = open_database(f"sqlite:///{target}")
    with pytest.raises(ConfigurationError, match=r"damaged: rows/jobs\.jsonl"):
        await restore(engine, blobs=tmp_path / "b", keys=tmp_path / "k", folder=folder, erased={})
    await engine.dispose()
    assert not target.exists()
    assert not (tmp_path / "b").exists()
