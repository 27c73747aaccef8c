"""The evidence report shows what a picture was made from, in every script, and nothing that is closed off."""

from __future__ import annotations

import io

from PIL import Image

from attribution.standalone.verify import read_container
from attribution.verify import verify_bundle
from bot.conversation import VaryCommand
from generation.sticker.references import References

PROMPTS = "Красное яблоко, 蓝色盘子上的红苹果, تفاحة حمراء"


async def _report(house, image_id: str) -> bytes:
    bundle = await house.app.evidence.collect(house.origin(), image_id)
    assert verify_bundle(bundle).ok
    return read_container(bundle)[0]["report.pdf"]


def _images(pdf: bytes) -> int:
    return pdf.count(b"/Subtype /Image")


async def test_the_source_is_shown_until_it_is_closed_off(house, draw_by_hand) -> None:
    app = house.app
    first_id = await house.job_of(await house.imagine(PROMPTS))
    await draw_by_hand(app)
    await app.courier.drain()
    (first,) = await app.releases.of_job(first_id)
    vary = VaryCommand(origin=house.origin(), image_id=first.image_id, strength="weak")
    second_id = await house.job_of(await house.say(vary))
    await draw_by_hand(app)
    await app.courier.drain()
    (second,) = await app.releases.of_job(second_id)

    alone, made = await _report(house, first.image_id), await _report(house, second.image_id)
    assert (_images(alone), _images(made)) == (1, 3)  # source and parent
    for font in (b"DejaVuSans", b"DroidSansFallback"):
        assert font in made

    await app.quarantine.mark(house.origin("mod", moderator=True), first.image_id)
    assert _images(await _report(house, second.image_id)) == 1


async def test_references_come_from_the_shipped_pack(house) -> None:
    with References() as pack:
        one = pack.all[0]
    shown = house.app.evidence._room._made_from._reference
    data = await shown(one.source.locate(one.file))
    assert data is not None
    with Image.open(io.BytesIO(data)) as image:
        assert (image.format, image.size, image.mode) == ("PNG", (128, 128), "RGB")
        assert len(image.getcolors(128 * 128) or ()) > 1
    assert await shown("npm:nothing@1/x.svg") is None
