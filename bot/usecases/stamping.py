"""Metadata and credentials of a picture: what its file says about itself."""

from __future__ import annotations

from collections.abc import Sequence

from attribution.credentials import Credentials, ManifestFacts, Reference, Signed
from attribution.licenses import LicenseCatalog
from attribution.merkle import leaf_hash
from attribution.metadata import ImageFacts
from attribution.metadata import write as write_metadata
from attribution.release_facts import Release
from bot.usecases.marking import Pixels
from generation.catalog import Catalog
from generation.job import Job, StoredImage


class Stamper:
    """Writes the metadata of pictures, and signs them."""

    def __init__(
        self,
        *,
        catalog: Catalog,
        licenses: LicenseCatalog,
        credentials: Credentials,
        provider: str,
        generator: str,
    ) -> None:
        self._catalog, self._licenses, self._credentials = catalog, licenses, credentials
        self._provider, self._generator = provider, generator

    def stamp(
        self,
        job: Job,
        stored: StoredImage,
        png: bytes,
        *,
        pixels: Pixels,
        image_id: str,
        accepted_leaf: bytes,
        sources: Sequence[tuple[Release, bytes]] = (),
    ) -> Signed:
        """Write the metadata of a picture, then sign it; blocking.

        `sources` are the signed files that it was drawn from: one is the parent, of two each is a component.
        """
        model = self._catalog.get(job.request.model_id)
        license_ = self._licenses.get(model.license_id)
        described = write_metadata(
            png,
            ImageFacts(
                image_id=image_id,
                created_ms=job.created_ms,
                generator=self._generator,
                provider=self._provider,
                model_name=model.name,
                model_revision=model.revision,
                weights_sha256=model.weights_sha256,
                license_name=license_.name,
                license_url=license_.url,
                notice=license_.notice,
                width=pixels.shape[1],
                height=pixels.shape[0],
                seed=stored.seed,
                num_inference_steps=job.request.num_inference_steps,
                guidance_scale=job.request.guidance_scale,
                sampler=str(stored.profile.get("noise_scheduler", "")),
            ),
        )
        facts = ManifestFacts(
            image_id=image_id,
            record_id=image_id,
            job_leaf_hash=leaf_hash(accepted_leaf).hex(),
            created_ms=job.created_ms,
            model_name=model.name,
            model_revision=model.revision,
            license_id=license_.id,
            license_name=license_.name,
            license_url=license_.url,
            license_text_sha256=license_.text_sha256,
            notice=license_.notice,
            references=tuple(
                Reference(
                    title=c.title,
                    author=c.author,
                    license=c.license,
                    license_url=c.license_url,
                    source=c.source,
                )
                for c in stored.credits
            )
            + tuple(self._component(release) for release, _ in (sources if len(sources) > 1 else ())),
            source=sources[0][1] if len(sources) == 1 else None,
        )
        return self._credentials.sign(described, facts)

    def _component(self, release: Release) -> Reference:
        """One of several pictures that a picture was drawn from."""
        license_ = self._licenses.get(release.license_id)
        return Reference(
            title=f"verso-{release.image_id}.png",
            author="the requester of this picture",
            license=license_.id,
            license_url=license_.url,
            source=f"verso:image:{release.image_id}:sha256:{release.sha256}",
            relationship="componentOf",
        )
