"""The fair order over workspaces and their users: pure arithmetic on virtual times.

Between workspaces: start-time fair queueing (Goyal, Vin, Cheng 1996). Each workspace has a virtual start; the
lowest one is served next and moves on by cost / weight. Whoever comes back after a rest starts at the present
virtual time: rest earns no credit and a flood earns no advance.

Within a workspace: self-clocked fair queueing (Golestani 1994). Each job gets, when it is submitted, a
virtual finish behind its user's own waiting jobs; the lowest one is served next.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from generation.job import ImageRequest

COST_UNIT_PIXELS = 512 * 512
"""One denoising step of one row at 512x512 px costs 1.0."""


def cost_of(request: ImageRequest) -> float:
    """The work of a request: steps x rows x pixels, in steps of one 512x512 px row.

    Classifier-free guidance runs a second row beside each picture.
    """
    rows = request.count * (2 if request.guidance_scale > 1.0 else 1)
    return request.num_inference_steps * rows * request.width * request.height / COST_UNIT_PIXELS


def virtual_finish(*, cost: float, weight: float, last_finish: float | None, virtual_time: float) -> float:
    """The place of a new job among those of its workspace.

    Args:
        cost: of the job.
        weight: the user's share within the workspace.
        last_finish: the highest virtual finish among the user's waiting jobs; None if none waits.
        virtual_time: the virtual finish of the job that the workspace was served last.
    """
    return max(virtual_time, last_finish or 0.0) + cost / weight


def virtual_start(*, own: float | None, lowest_waiting: float | None, highest: float | None) -> float:
    """Where a workspace stands when its first job arrives after a rest.

    Args:
        own: where it stood when it was served last, if that is remembered.
        lowest_waiting: the lowest virtual start among the workspaces with waiting jobs.
        highest: the highest virtual start of all, for when nobody waits.
    """
    present = lowest_waiting if lowest_waiting is not None else highest
    return max(own or 0.0, present or 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Lane:
    """The waiting jobs of one workspace."""

    virtual_start: float
    jobs: int
    cost: float  # of all its waiting jobs
    weight: float = 1.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Ahead:
    """What will be claimed before a given job."""

    jobs: int
    cost: float


def ahead_of(own: Lane, others: Iterable[Lane]) -> Ahead:
    """Estimate what is served before a job.

    Args:
        own: the job's workspace, counting only the jobs before it there.
        others: the other workspaces with waiting jobs.

    Returns:
        The sum over all workspaces, right to within one job of each.
    """
    reached = (
        own.virtual_start + own.cost / own.weight
    )  # the workspace's virtual start when the job's turn comes
    jobs: float = own.jobs
    cost = own.cost
    for lane in others:
        share = min(lane.cost, max(0.0, (reached - lane.virtual_start) * lane.weight))
        cost += share
        jobs += lane.jobs * share / lane.cost
    return Ahead(jobs=round(jobs), cost=cost)
