"""Finishing a drawn picture: image check, metadata, credentials, record. The result never changes again."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict

from attribution.credentials import Credentials
from attribution.fingerprints import pdq
from attribution.keypoints import KeyPoints
from attribution.ledger import Ledger
from attribution.licenses import License, LicenseCatalog
from attribution.marks import MarkKeys
from attribution.release_facts import Json, Release, ReleaseDraft
from attribution.releases import Releases
from attribution.vault import Vault
from bot.card import DrawnImage
from bot.conversation import Origin
from bot.nearest import Neighbor
from bot.usecases.choices import record_shown
from bot.usecases.image_check import ImageCheck, decision_id_of, image_id_of
from bot.usecases.imagine import Imagine
from bot.usecases.marking import Pixels, marked_copy, pixels_of
from bot.usecases.ranking import KEY, Ranked, Ranking, read_ranked
from bot.usecases.sources import Sources
from bot.usecases.stamping import Stamper
from generation.blobs import BlobStore
from generation.catalog import Catalog, ModelCard
from generation.job import Job, StoredImage
from generation.queue import JobQueue
from moderation.decisions import Decisions
from moderation.types import Action, Verdict

SIGNATURE_ROOM = 64 * 1024  # bytes that metadata and credentials may add


class Finisher:
    """Turns stored results into releases. Idempotent: what is released is read, never signed again."""

    def __init__(
        self,
        *,
        queue: JobQueue,
        blobs: BlobStore,
        vault: Vault,
        check: ImageCheck,
        decisions: Decisions,
        catalog: Catalog,
        licenses: LicenseCatalog,
        credentials: Credentials,
        releases: Releases,
        imagine: Imagine,
        sources: Sources,
        ranking: Ranking,
        ledger: Ledger,
        marks: MarkKeys,
        provider: str,
        generator: str,
    ) -> None:
        self._sources, self._ranking, self._ledger = sources, ranking, ledger
        self._queue, self._blobs, self._vault = queue, blobs, vault
        self._check, self._decisions = check, decisions
        self._catalog, self._licenses = catalog, licenses
        self._releases, self._imagine, self._marks = releases, imagine, marks
        self.stamper = Stamper(
            catalog=catalog,
            licenses=licenses,
            credentials=credentials,
            provider=provider,
            generator=generator,
        )

    async def finish(self, job: Job, origin: Origin) -> tuple[tuple[DrawnImage, ...], tuple[Verdict, ...]]:
        """All of a job's pictures that may be shown, and the verdicts on those that may not."""
        images, verdicts = [], []
        pictures: dict[int, Pixels] = {}
        ranking: asyncio.Task[dict[int, Ranked]] | None = None
        try:
            for stored in await self._shown(job):
                release = await self._releases.find(job.id, stored.index)
                if release is not None:
                    images.append(await self._drawn(release, stored))
                    continue
                if ranking is None:
                    pictures = await self._opened(job)
                    ranking = asyncio.create_task(self._ranking.of(job, pictures))  # beside the check
                verdict = await self._check.verdict(job, origin, stored, pictures[stored.index])
                if verdict.action is not Action.ALLOW:
                    verdicts.append(verdict)
                    continue
                place = (await ranking).get(stored.index)
                release, signed = await self._release(job, origin, stored, pictures[stored.index], place)
                images.append(_drawn(release, stored, signed, place))
        finally:
            if ranking is not None:
                ranking.cancel()
        return tuple(images), tuple(verdicts)

    async def of_job(self, job: Job) -> tuple[tuple[DrawnImage, ...], tuple[Verdict, ...]]:
        """What `finish` has done before, read back."""
        images, verdicts = [], []
        for stored in await self._shown(job):
            release = await self._releases.find(job.id, stored.index)
            if release is not None:
                images.append(await self._drawn(release, stored))
                continue
            verdict = await self._check.past(job, stored)
            if verdict is not None and verdict.action is not Action.ALLOW:
                verdicts.append(verdict)
        return tuple(images), tuple(verdicts)

    async def standing(self, job: Job) -> int:
        """How many of a job's pictures are released, and not taken down."""
        found = [await self._releases.find(job.id, stored.index) for stored in await self._shown(job)]
        return len([release for release in found if release is not None])

    async def approved(self, job: Job, origin: Origin) -> tuple[DrawnImage, ...]:
        """Those of a job's pictures that the check held and a moderator let pass, released by now."""
        reviews = {stored.index: await self._check.review(job, stored) for stored in await self._shown(job)}
        passed = {index for index, review in reviews.items() if review and review.status == "approved"}
        images, _ = await self.finish(job, origin)
        return tuple(image for image in images if image.release.index in passed)

    async def waiting(self, job: Job) -> tuple[str, ...]:
        """The open reviews of a job's held pictures."""
        reviews = [await self._check.review(job, stored) for stored in await self._shown(job)]
        return tuple(review.id for review in reviews if review is not None and review.open)

    async def _shown(self, job: Job) -> tuple[StoredImage, ...]:
        """The job's pictures but for those that were taken down or lie in quarantine."""
        stored = await self._queue.results(job.id)
        hidden = await self._check.hidden(job, stored)
        credited = await self._sources.credited(job, stored)
        return tuple(image for image in credited if image.index not in hidden)

    async def _opened(self, job: Job) -> dict[int, Pixels]:
        """All that was drawn, also what the check holds back: a repeat must rank the same pictures."""
        return {
            stored.index: await asyncio.to_thread(
                pixels_of, await self._vault.unseal(job.user_id, await self._blobs.get(stored.blob))
            )
            for stored in await self._queue.results(job.id)
        }

    async def shown(self, job: Job, images: Sequence[DrawnImage]) -> None:
        """Note the candidates that a grid has shown, in the ledger; a repeat changes nothing."""
        await record_shown(self._ledger, job, images)

    def license_of(self, model: ModelCard) -> License:
        """The license that a model's pictures go out under."""
        return self._licenses.get(model.license_id)

    async def _release(
        self, job: Job, origin: Origin, stored: StoredImage, drawn: Pixels, ranked: Ranked | None
    ) -> tuple[Release, bytes]:
        model = self._catalog.get(job.request.model_id)
        license_ = self._licenses.get(model.license_id)
        accepted_leaf = await self._imagine.ensure_job_accepted(job, model)
        image_id = image_id_of(job.id, stored.index)
        nearest = await self._check.nearest(job, stored, drawn)
        mark_id = self._marks.new_id()
        png, pixels = await asyncio.to_thread(
            marked_copy, drawn, self._marks, mark_id, limit=origin.upload_limit - SIGNATURE_ROOM
        )
        stamped = asyncio.to_thread(
            self.stamper.stamp,
            job,
            stored,
            png,
            pixels=pixels,
            image_id=image_id,
            accepted_leaf=accepted_leaf,
            sources=await self._sources.signed(job.request),
        )
        signed, hash_, points = await asyncio.gather(
            stamped, asyncio.to_thread(pdq, pixels), asyncio.to_thread(KeyPoints.of, pixels)
        )
        blob = await self._blobs.put(await self._vault.seal(job.user_id, signed.data))
        release = await self._releases.release(
            ReleaseDraft(
                image_id=image_id,
                job_id=job.id,
                index=stored.index,
                subject=job.user_id,
                blob=blob,
                sha256=hashlib.sha256(signed.data).hexdigest(),
                pixels_sha256=stored.pixels_sha256,
                posted_pixels_sha256=hashlib.sha256(pixels.tobytes()).hexdigest(),
                pdq=hash_,
                mark_id=mark_id,
                keypoints=points.to_bytes(),
                width=pixels.shape[1],
                height=pixels.shape[0],
                model_id=model.id,
                model_revision=model.revision,
                weights_sha256=model.weights_sha256,
                license_id=license_.id,
                license_version=license_.version,
                license_text_sha256=license_.text_sha256,
                prompt=job.request.prompt,
                negative_prompt=job.request.negative_prompt,
                seed=stored.seed,
                num_inference_steps=job.request.num_inference_steps,
                guidance_scale=job.request.guidance_scale,
                credits=tuple(asdict(credit) for credit in stored.credits),
                profile={
                    **json_values(stored.profile),
                    **({KEY: ranked.to_json()} if ranked else {}),
                },
                moderation=await self._moderation(job, stored, nearest),
                sidecar=signed.sidecar,
                source_sha256=await self._sources.digest(job, job.request.source_blob),
                mask_sha256=await self._sources.digest(job, job.request.mask_blob),
            )
        )
        if release.blob != blob:  # a rival was faster: its file is the one that the record knows
            await self._blobs.delete(blob)
            return release, await self._vault.unseal(job.user_id, await self._blobs.get(release.blob))
        return release, signed.data

    async def _moderation(
        self, job: Job, stored: StoredImage, nearest: Sequence[Neighbor] | None
    ) -> tuple[Mapping[str, Json], ...]:
        """The decisions that let this picture pass, as the record keeps them, with its nearest neighbors."""
        near: Mapping[str, Json] = (
            {} if nearest is None else {"nearest": [one.to_json() for one in nearest], "index": stored.index}
        )
        own = decision_id_of(job.id, stored.index)
        return tuple(
            {
                **(near if decision.id == own else {}),
                "decision": decision.id,
                "content": decision.content_kind,
                "action": decision.action.name.lower(),
                "policy": decision.policy_version,
                "at_ms": decision.created_ms,
                "findings": [
                    {
                        "rule": f.rule,
                        "category": str(f.category),
                        "score": round(f.score, 4),
                        "clause": f.clause,
                    }
                    for f in decision.findings
                ],
            }
            for decision in await self._decisions.of_job(job.id)
        )

    async def _drawn(self, release: Release, stored: StoredImage) -> DrawnImage:
        sealed = await self._blobs.get(release.blob)
        ranked = read_ranked(await self._releases.details(release.image_id))
        return _drawn(release, stored, await self._vault.unseal(release.subject, sealed), ranked)


def _drawn(release: Release, stored: StoredImage, signed: bytes, ranked: Ranked | None) -> DrawnImage:
    return DrawnImage(
        release=release,
        png=signed,
        seed=stored.seed,
        credits=stored.credits,
        note=stored.note,
        similarity=ranked.value if ranked else None,
        rank=ranked.rank if ranked and ranked.of > 1 else None,
    )


def json_values(values: Mapping[str, object]) -> Mapping[str, Json]:
    """A profile as JSON values: what is no JSON value is told by its text."""
    return {str(key): json.loads(json.dumps(value, default=str)) for key, value in values.items()}
