"""Figures of the look-up: are pictures found again, is the right person named, is a stranger left alone?"""

from __future__ import annotations

import datetime as dt
import secrets
import statistics
import time
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy.ext.asyncio import AsyncEngine

from attribution import certificates
from attribution.attacks import ATTACKS, attacked
from attribution.credentials import Credentials, endorse_root, root_of
from attribution.fingerprints import MIN_QUALITY, PdqIndex, pdq
from attribution.images import Pixels, encode_png, pixels_digest
from attribution.keypoints import ASKED, STORED, KeyPointIndex, KeyPoints
from attribution.ledger import Ledger
from attribution.lookup import Lookup
from attribution.mark_reader import MarkReader
from attribution.marks import MarkKeys, embed
from attribution.release_facts import ReleaseDraft
from attribution.releases import Releases
from attribution.signing import LedgerKeys
from attribution.tables import metadata
from attribution.vault import Vault

Progress = Callable[[str, int, int], None]

_FEW_POINTS = STORED // 4  # a picture with fewer is flat, as is one that PDQ can say little about
_QUERIES = 20


class _Shop:
    """A house of one operator with two customers, who get the same pictures."""

    def __init__(self, engine: AsyncEngine) -> None:
        signer = Ed25519PrivateKey.generate()
        now = dt.datetime.now(dt.UTC)
        key, chain = certificates.split(
            certificates.make_signer("bench", certificates.make_root("bench", now), now)
        )
        self.vault = Vault(engine, vault_key=secrets.token_bytes(32), lookup_key=secrets.token_bytes(32))
        ledger = Ledger(engine, keys=LedgerKeys(origin="verso/bench", signer=signer), vault=self.vault)
        credentials = Credentials(
            key_pem=key,
            chain_pem=chain,
            generator_version="bench",
            verifier_key=ledger.verifier_key,
            root_endorsement=endorse_root(root_of(chain), signer),
        )
        self._releases = Releases(engine, ledger=ledger, vault=self.vault)
        self._marks = MarkKeys({1: secrets.token_bytes(32)})
        self._originals: dict[tuple[str, int], Pixels] = {}
        reader = MarkReader(self._marks, self._original)
        self.lookup = Lookup(engine, credentials=credentials, vault=self.vault, reader=reader)

    async def _original(self, job_id: str, index: int) -> Pixels | None:
        return self._originals.get((job_id, index))

    async def sell(self, subject: str, pixels: Pixels) -> tuple[str, Pixels]:
        """Release a marked copy; its id and pixels."""
        image_id, job_id, mark_id = secrets.token_hex(8), secrets.token_hex(8), self._marks.new_id()
        signs = self._marks.signs(mark_id)
        if signs is None:  # its key is the newest
            raise LookupError(mark_id)
        copy = embed(pixels, signs)
        self._originals[job_id, 0] = pixels
        await self._releases.release(
            ReleaseDraft(
                image_id=image_id,
                job_id=job_id,
                index=0,
                subject=subject,
                blob=secrets.token_hex(32),
                sha256=secrets.token_hex(32),
                pixels_sha256=pixels_digest(pixels),
                posted_pixels_sha256=pixels_digest(copy),
                pdq=pdq(copy),
                mark_id=mark_id,
                keypoints=KeyPoints.of(copy).to_bytes(),
                width=pixels.shape[1],
                height=pixels.shape[0],
                model_id="bench",
                model_revision="1",
                weights_sha256="",
                license_id="MIT",
                license_version="1",
                license_text_sha256="",
                prompt="",
                seed=0,
                num_inference_steps=1,
                guidance_scale=1.0,
            )
        )
        return image_id, copy


async def bench_lookup(
    engine: AsyncEngine,
    pictures: Sequence[Pixels],
    strangers: Iterable[Pixels],
    *,
    sizes: Sequence[int] = (1_000, 10_000, 100_000),
    progress: Progress = lambda _stage, _done, _total: None,
) -> dict[str, object]:
    """Measure the look-up in an empty database, in which it makes its tables.

    Args:
        engine: of the database.
        pictures: (H, W, 3) 8-bit sRGB, all different; two people get a copy of each.
        strangers: pictures that nobody was given.
        sizes: of the indexes whose time is taken, filled with random entries.
        progress: told the stage, what is done and how much there is.

    Returns:
        `recall` and `right_owner` by attack (shares of the pictures that are not flat: the picture is among
        the matches; the first match is the attacked copy, by its mark), `flat` (how many) and `flat_recall`,
        `false_matches` of `strangers`, `psnr_db` (lowest), `stamp_ms`, `query_ms` (median of a whole query)
        and, by size, `ms_per_query` (PDQ and key points together), `pdq_ms`, `keypoints_ms` and `start_s`.
    """
    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    shop = _Shop(engine)
    buyers = [await shop.vault.subject("bench", "bench", name) for name in ("1", "2")]
    sold: list[tuple[str, Pixels, bool]] = []
    psnr, stamp_ms = [], []
    for number, pixels in enumerate(pictures):
        flat = pdq(pixels).quality < MIN_QUALITY or len(KeyPoints.of(pixels)) < _FEW_POINTS
        await shop.sell(buyers[0], pixels)
        started = time.process_time()
        image_id, copy = await shop.sell(buyers[1], pixels)
        stamp_ms.append(1000 * (time.process_time() - started))
        error = np.mean(np.square(copy.astype(np.float32) - pixels))
        psnr.append(10 * float(np.log10(255**2 / max(error, 1e-9))))
        sold.append((image_id, copy, flat))
        progress("released", number + 1, len(pictures))
    # found, right owner named; of the flat ones: found, all
    found = {name: [0, 0, 0, 0] for name in ATTACKS}
    query_ms = []
    for number, (image_id, copy, flat) in enumerate(sold):
        for name, counts in found.items():
            started = time.process_time()
            matches = (await shop.lookup.find(attacked(copy, name))).matches
            query_ms.append(1000 * (time.process_time() - started))
            seen = any(match.image_id == image_id for match in matches)
            if flat:
                counts[2] += seen
                counts[3] += 1
                continue
            counts[0] += seen
            counts[1] += seen and matches[0].image_id == image_id and "mark" in matches[0].evidence
        progress("found again", number + 1, len(sold))
    asked = false = 0
    for pixels in strangers:
        asked += 1
        false += bool((await shop.lookup.find(encode_png(pixels))).matches)
        progress("strangers", asked, asked)
    usable = max(1, sum(not flat for _, _, flat in sold))
    flats = sum(flat for _, _, flat in sold)
    return {
        "pictures": len(sold),
        "flat": flats,
        "recall": {name: round(counts[0] / usable, 3) for name, counts in found.items()},
        "right_owner": {name: round(counts[1] / usable, 3) for name, counts in found.items()},
        "flat_recall": {name: round(c[2] / c[3], 3) if c[3] else None for name, c in found.items()},
        "strangers": asked,
        "false_matches": false,
        "psnr_db": round(min(psnr), 2),
        "stamp_ms": round(statistics.median(stamp_ms), 1),
        "query_ms": round(statistics.median(query_ms), 1),
        **_indexes(sizes, [copy for _, copy, _ in sold], progress),
    }


def _indexes(sizes: Sequence[int], pictures: Sequence[Pixels], progress: Progress) -> dict[str, object]:
    """CPU milliseconds of the two searches in memory, and seconds to fill them, by number of pictures."""
    random = np.random.default_rng(7)
    codes = [pdq(pixels).bits for pixels in pictures[:_QUERIES]]
    parts = [KeyPoints.of(pixels, count=ASKED) for pixels in pictures[:_QUERIES]]
    tables: dict[str, dict[str, float]] = {
        "ms_per_query": {},
        "pdq_ms": {},
        "keypoints_ms": {},
        "start_s": {},
    }
    for done, size in enumerate(sizes):
        started = time.process_time()
        looks, points = PdqIndex(), KeyPointIndex()
        looks.add((str(n), random.bytes(32)) for n in range(size))
        rows = random.integers(0, 256, (size, STORED, 32), dtype=np.uint8)
        places = random.random((STORED, 2), dtype=np.float32) * 512
        points.add((str(n), KeyPoints(places=places, looks=row)) for n, row in enumerate(rows))
        tables["start_s"][str(size)] = round(time.process_time() - started, 2)
        pdq_ms = [_cpu_ms(looks.search, [code], 31) for code in codes]
        part_ms = [_cpu_ms(points.search, [part]) for part in parts]
        tables["pdq_ms"][str(size)] = round(statistics.median(pdq_ms), 2)
        tables["keypoints_ms"][str(size)] = round(statistics.median(part_ms), 2)
        tables["ms_per_query"][str(size)] = round(statistics.median(pdq_ms) + statistics.median(part_ms), 2)
        progress("indexes", done + 1, len(sizes))
    return dict(tables)


def _cpu_ms(search: Callable[..., object], *arguments: object) -> float:
    started = time.process_time()
    search(*arguments)
    return 1000 * (time.process_time() - started)
