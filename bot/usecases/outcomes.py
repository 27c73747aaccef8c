"""What can become of a request for a picture."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.licenses import License
from bot.usecases.quota import QuotaSpent
from generation.catalog import ModelCard
from generation.job import Job
from moderation.types import Verdict


@dataclass(frozen=True, kw_only=True, slots=True)
class Accepted:
    """The job is in the queue, and will be drawn whatever happens to this process."""

    job: Job
    place: int
    eta_s: float | None
    model: ModelCard
    license: License
    verdict: Verdict
    created: bool  # False: the same event came before
    paused: bool = False  # the operator has stopped the drawing; the job keeps its place


@dataclass(frozen=True, kw_only=True, slots=True)
class TermsRequired:
    """The model's terms wait to be accepted; the command is kept meanwhile."""

    license: License
    model: ModelCard
    parked_id: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Blocked:
    """The prompt may not be drawn."""

    decision_id: str
    verdict: Verdict
    appealable: bool
    timed_out_until_ms: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class Held:
    """A moderator decides first."""

    review_id: str
    verdict: Verdict
    deadline_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class TimedOut:
    """This person may not ask for pictures for a while."""

    until_ms: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelUnavailable:
    """The license of the model rules out its use here."""

    model: ModelCard
    reason: str


ImagineOutcome = Accepted | TermsRequired | Blocked | Held | TimedOut | QuotaSpent | ModelUnavailable
