"""Generation: the catalog, the queue and where pictures are kept."""

from __future__ import annotations

import dataclasses

from sqlalchemy.ext.asyncio import AsyncEngine

from bot.composition.configured import catalog_of, plans_of
from bot.composition.record import Record
from bot.nearest import TrainingPictures
from bot.settings import Settings
from bot.usecases.quota import Quota
from generation.blobs import FolderBlobStore
from generation.catalog import Catalog
from generation.progress import ProgressBoard
from generation.queue import JobQueue, QueueLimits
from moderation.embedding import SentenceEncoder


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Studio:
    """What pictures are drawn with."""

    catalog: Catalog
    queue: JobQueue
    blobs: FolderBlobStore
    progress: ProgressBoard
    quota: Quota
    training: TrainingPictures
    encoder: SentenceEncoder


def open_studio(
    settings: Settings,
    record: Record,
    database: AsyncEngine,
    *,
    encoder: SentenceEncoder,
    training: TrainingPictures,
) -> Studio:
    """Build it; no engine yet: that loads torch."""
    queue = JobQueue(
        database,
        seal=record.vault.seal,
        unseal=record.vault.unseal,
        limits=QueueLimits(user_jobs=settings.quota.jobs_in_flight),
    )
    return Studio(
        catalog=catalog_of(settings),
        queue=queue,
        blobs=FolderBlobStore(settings.blobs_dir),
        progress=ProgressBoard(),
        quota=Quota(queue, plans=plans_of(settings)),
        training=training,
        encoder=encoder,
    )
