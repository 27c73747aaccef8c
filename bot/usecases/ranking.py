"""Orders the candidates of a job by how well they fit its words; the value stands in each one's record."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from attribution.release_facts import Json, ReleaseDetails
from generation.catalog import Catalog, ModelCard
from generation.job import Job
from generation.similarity import Similarity

log = logging.getLogger(__name__)

KEY = "similarity"
"""Where it stands in the profile of a record."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ranked:
    """One candidate's place."""

    value: float  # cosine
    rank: int  # 1: fits best
    of: int  # candidates
    by: str  # which scorer

    def to_json(self) -> dict[str, Json]:
        """As it stands in the record."""
        return {"value": self.value, "rank": self.rank, "of": self.of, "by": self.by}


class Ranking:
    """Asks the scorer of a model. Without one, or where it fails, pictures are shown unranked."""

    def __init__(self, *, catalog: Catalog, scorer: Callable[[ModelCard], Similarity | None]) -> None:
        self._catalog, self._scorer = catalog, scorer

    async def of(self, job: Job, pictures: Mapping[int, npt.NDArray[np.uint8]]) -> dict[int, Ranked]:
        """The place of each picture, by its index in the job; empty where nothing can be said."""
        if not pictures or job.request.upscale:
            return {}  # an enlarged picture shows what its source showed
        try:
            return await asyncio.to_thread(self._rank, job, pictures)
        except Exception as error:
            log.warning("job %s: its pictures are not ranked (%s)", job.id, type(error).__name__)
            log.debug("ranking failed", exc_info=error)
            return {}

    def _rank(self, job: Job, pictures: Mapping[int, npt.NDArray[np.uint8]]) -> dict[int, Ranked]:
        scorer = self._scorer(self._catalog.get(job.request.model_id))
        if scorer is None:
            return {}
        found = scorer.similarity(list(pictures.values()), job.request.prompt)
        values = dict(zip(pictures, (round(value, 4) for value in found), strict=True))
        order = sorted(values, key=lambda index: (-values[index], index))
        return {
            index: Ranked(value=values[index], rank=rank, of=len(order), by=scorer.name)
            for rank, index in enumerate(order, start=1)
        }


def read_ranked(details: ReleaseDetails | None) -> Ranked | None:
    """What a record says; None where it says nothing."""
    values = json.loads(details.profile).get(KEY) if details else None
    return Ranked(**values) if values else None
