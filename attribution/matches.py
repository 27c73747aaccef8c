"""What a look-up answers: images, how sure each is, and by which signs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Confidence(StrEnum):
    """How sure a match is; see the stages above."""

    CERTAIN = "certain"
    STRONG = "strong"
    WEAK = "weak"


@dataclass(frozen=True, kw_only=True, slots=True)
class Match:
    """One released image that the found picture may be."""

    image_id: str
    subject: str  # pseudonym of who asked for it
    erased: bool  # this person's data was erased: nothing more is known
    confidence: Confidence
    evidence: tuple[str, ...]  # "sha256", "c2pa", "pdq", "keypoints", "mark"
    false_match_rate: float  # bound for one comparison, measured or (mark) proven; 0 for cryptography
    distance: int | None = None  # bits of 256 in which the fingerprints differ

    def to_json(self) -> dict[str, object]:
        """Plain values; who may learn which person the subject is, the caller decides."""
        return {
            "image_id": self.image_id,
            "subject": self.subject,
            "erased": self.erased,
            "confidence": self.confidence.value,
            "evidence": list(self.evidence),
            "false_match_rate": self.false_match_rate,
            "distance": self.distance,
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class LookupResult:
    """What was found: best first, and no match where nothing was."""

    matches: tuple[Match, ...]
    searched: int  # images that could have been found
    ms: float
    note: str = ""  # why a stage could say nothing, for the reader

    def to_json(self) -> dict[str, object]:
        """Plain values, as `whomade --json` and `match.json` carry them."""
        matches = [match.to_json() for match in self.matches]
        return {"matches": matches, "searched": self.searched, "ms": round(self.ms, 3), "note": self.note}
