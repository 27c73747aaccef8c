"""A bundle is written, replayed and bent, through the real command line on the embedded model."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from attribution.errors import EvidenceError
from attribution.standalone.verify import read_container
from bot.conversation import UpscaleCommand, VaryCommand
from bot.errors import UsageError
from bot.usecases.redraw import Given, check_model, differences, given_of, read_recorded, redraw
from generation.card import ModelCard
from generation.catalog import Catalog

WORDS, PERSON = "a lonely green zeppelin", "Wilhelmina"


def verso(data: Path, *arguments: str) -> tuple[int, dict[str, object]]:
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("VERSO_")},
        "VERSO_DATA_DIR": str(data),
    }
    done = subprocess.run(  # noqa: S603 - our own interpreter, our own arguments
        [sys.executable, "-m", "bot", *arguments, "--json"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=240,
        check=False,
    )
    return done.returncode, json.loads(done.stdout)


@pytest.mark.timeout(600)
def test_a_bundle_is_replayed_and_its_posted_file_names_nobody(tmp_path: Path) -> None:
    data, out, file = tmp_path / "data", tmp_path / "out", tmp_path / "evidence.zip"
    code, drawn = verso(
        data, "imagine", WORDS, "--user", PERSON, "--accept-terms", "--seed", "5", "--out", str(out)
    )
    assert code == 0
    (image,) = drawn["images"]
    posted = Path(image["path"]).read_bytes()
    for private in (WORDS, "zeppelin", PERSON):
        assert private.lower().encode() not in posted.lower()
    assert b"trainedAlgorithmicMedia" in posted  # the file was written to, and says it is a machine's

    code, _ = verso(data, "evidence", image["image_id"], "--out", str(file))
    assert code == 0
    members, problem = read_container(file.read_bytes())
    assert problem == ""
    subject = json.loads(members["record.json"])["entry"]["subject"]
    assert subject.encode() not in posted
    story = json.loads(members["lineage.json"])
    assert [one["by"] for one in story["authorship"]["contributions"]] == ["human", "machine", "machine"]
    assert WORDS in story["authorship"]["contributions"][0]["details"]
    assert "chosen: seed 5" in story["authorship"]["contributions"][0]["details"]

    code, again = verso(data, "evidence", "--replay", str(file))
    assert (code, again["same"]) == (0, True)
    assert again["drawn_pixels_sha256"] == image["pixels_sha256"] == again["recorded_pixels_sha256"]

    recorded = read_recorded(file.read_bytes())
    assert (recorded.request.prompt, recorded.request.seed) == (WORDS, 5)
    embedded = Catalog.load([]).get(None)
    check_model(Catalog([embedded]), recorded)
    other = Catalog([_with_other_weights(embedded)])
    with pytest.raises(UsageError, match="weights_sha256"):
        check_model(other, recorded)

    bent = bytearray(file.read_bytes())
    bent[bent.index(members["profile.json"]) + 20] ^= 1
    with pytest.raises(EvidenceError, match=r"profile\.json"):
        read_recorded(bytes(bent))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("step", ["vary", "upscale"])
async def test_what_was_made_from_a_picture_is_replayed_while_that_is_kept(house, step: str) -> None:
    app = house.app
    async with house.drawing():
        job_id, _ = await house.drawn("a red apple", seed=4)
        (first,) = await app.releases.of_job(job_id)
        origin = house.origin()
        commands = {
            "vary": VaryCommand(origin=origin, image_id=first.image_id, strength="weak"),
            "upscale": UpscaleCommand(origin=origin, image_id=first.image_id),
        }
        made_id = await house.job_of(await house.say(commands[step]))
        await app.courier.settled(made_id)
    (made,) = await app.releases.of_job(made_id)
    recorded = read_recorded(await app.evidence.collect(house.origin(), made.image_id))
    assert recorded.request.source_blob is not None
    assert recorded.request.upscale == (2 if step == "upscale" else 0)
    check_model(app.catalog, recorded)
    given = await given_of(recorded, blobs=app.blobs, vault=app.vault)
    engine = app.engine()
    try:
        result = await redraw(engine, recorded, given=given)
    finally:
        await engine.close()
    assert result.same
    assert result.differences == ()
    assert result.drawn_sha256 == made.pixels_sha256 != first.pixels_sha256

    await app.blobs.delete(recorded.request.source_blob)
    assert await given_of(recorded, blobs=app.blobs, vault=app.vault) == given  # the bundle holds it
    without = replace(recorded, given=Given())
    with pytest.raises(UsageError, match="not kept here"):
        await given_of(without, blobs=app.blobs, vault=app.vault)
    nothing = replace(without, request=replace(recorded.request, source_blob=None))
    assert await given_of(nothing, blobs=app.blobs, vault=app.vault) == Given()
    later = read_container(await app.evidence.collect(house.origin(), made.image_id))[0]
    assert "source.png" not in later
    assert "parent-1.png" in later


def _with_other_weights(card: ModelCard) -> ModelCard:
    return replace(card, weights_sha256="00" * 32)


def test_a_replay_goes_with_nothing_else(tmp_path: Path) -> None:
    code, answer = verso(tmp_path, "evidence", "0" * 16, "--replay", "x.zip")
    assert code == 2
    assert answer["status"] == "failed"


def test_differences_are_named_with_their_place() -> None:
    one = {"machine": {"threads": 2, "device": "cpu"}, "rows": 1}
    other = {"machine": {"threads": 4, "device": "cpu"}, "rows": 1, "backend": "onnx"}
    assert list(differences(one, other)) == ["backend", "machine.threads"]
    assert list(differences(one, one)) == []
