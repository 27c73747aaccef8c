"""The licenses of models as data: what each allows, asks and forbids, and the sheet people accept.

Descriptions lie in `licenses/*.toml`, one license each; an operator's own folder can add or replace some.
They are paraphrases for people and for gates, not legal advice; each links to the text that counts.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path

from attribution.errors import UnknownLicenseError
from attribution.license_file import Commercial, Confidence, LicenseFile, read_folder
from attribution.terms import STANDING_TERMS

_EU = frozenset(
    {"EU", "AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR"}
    | {"HU", "IE", "IT", "LT", "LU", "LV", "MT", "NL", "PL", "PT", "RO", "SE", "SI", "SK"}
)


@dataclass(frozen=True, kw_only=True, slots=True)
class Clause:
    """One use that a license forbids; block notices quote it."""

    id: str  # ours, e.g. "openrail-attachment-a/e"
    text: str


@dataclass(frozen=True, kw_only=True, slots=True)
class License:
    """What one license says, in our words."""

    id: str  # SPDX id, or LicenseRef-...
    name: str
    edition: str  # the license's own version or date
    url: str
    commercial: Commercial  # of the model; the images are spoken of in `output`
    output: str  # what the user may do with the images
    pass_on: str  # what has to be passed on to whom
    territory: str
    confidence: Confidence  # text: read at its source; third: a transcription; memory: recalled
    enabled: bool = False
    disabled_reason: str = ""
    threshold: str = ""
    threshold_usd: int | None = None  # yearly revenue above which commercial use needs another license
    threshold_users: int | None = None  # the same in monthly active users
    threshold_inclusive: bool = False  # reaching the threshold is already too much
    notice: str = ""  # words the service has to show
    notice_where: str = ""
    restrictions: tuple[Clause, ...] = ()
    duties: tuple[str, ...] = ()  # of whoever runs the service
    output_training: str = ""  # what images may not train
    territory_denied: tuple[str, ...] = ()  # ISO 3166 codes, and "EU"
    policy_url: str = ""
    models: tuple[str, ...] = ()  # for orientation; a model's card decides
    full_text: str | None = field(default=None, repr=False)  # where the text itself may be reproduced
    full_text_sha256: str = ""  # hex, of its UTF-8 bytes
    full_text_source: str = ""  # where it was taken from

    @property
    def terms_text(self) -> str:
        """The sheet that people read and accept: this license in short, then Verso's own terms."""
        lines = [
            f"TERMS FOR IMAGES MADE UNDER: {self.name} ({self.id}, {self.edition})",
            f"The text that counts: {self.url}",
            "",
            f"Images: {self.output}",
            f"Commercial use of the model: {self._commercial_words}",
            f"Where: {self.territory}.",
        ]
        if self.output_training:
            lines.append(f"Training: {self.output_training}")
        if self.notice:
            lines.append(f'Notice: "{self.notice}" ({self.notice_where}).')
        lines.append(f"Passing on: {self.pass_on}")
        lines.extend(f"The service has to: {duty}" for duty in self.duties)
        if self.policy_url:
            lines.append(f"Use policy: {self.policy_url}")
        if self.restrictions:
            lines += ["", "You agree not to use the model or its images for:"]
            lines += [f"- {clause.text} [{clause.id}]" for clause in self.restrictions]
        return "\n".join(lines) + "\n\n" + STANDING_TERMS

    @property
    def text_sha256(self) -> str:
        """Hex digest of `terms_text`: what an acceptance is bound to."""
        return hashlib.sha256(self.terms_text.encode()).hexdigest()

    @property
    def version(self) -> str:
        """The edition and the beginning of the sheet's digest: a changed sheet is a new version to accept."""
        return f"{self.edition}+{self.text_sha256[:12]}"

    def clause(self, clause_id: str) -> Clause | None:
        """The clause with this id."""
        return next((clause for clause in self.restrictions if clause.id == clause_id), None)

    def blocked_for(
        self,
        *,
        commercial: bool,
        territory: str,
        revenue_usd: int | None = None,
        monthly_users: int | None = None,
    ) -> str | None:
        """Why a workspace may not use models under this license; None: it may.

        Args:
            commercial: whether the workspace serves a business.
            territory: ISO 3166 code of where the service is used, or "EU"; empty: not told.
            revenue_usd: yearly revenue of the operator and its affiliates, where it was told.
            monthly_users: monthly active users of the service, where that was told.
        """
        if not self.enabled:
            reason = self.disabled_reason or "the operator has not enabled it"
            return f"{self.name} is disabled: {reason}"
        if commercial and self.commercial == "no":
            return f"{self.name} forbids commercial use of the model"
        for figure, limit in ((revenue_usd, self.threshold_usd), (monthly_users, self.threshold_users)):
            over = (
                figure is not None
                and limit is not None
                and (figure > limit or (self.threshold_inclusive and figure == limit))
            )
            if commercial and over:
                return f"{self.name}: {self.threshold}"
        return self._territory_block(territory.strip().upper())

    def _territory_block(self, place: str) -> str | None:
        if not self.territory_denied:
            return None
        if not place:
            return f"{self.name} does not apply everywhere: the operator has to set the territory"
        denied = set(self.territory_denied) | (_EU if "EU" in self.territory_denied else set())
        if "GB" in denied:
            denied.add("UK")  # what people write
        return f"{self.name} does not apply in {place}: {self.territory}" if place in denied else None

    @property
    def _commercial_words(self) -> str:
        if self.commercial == "threshold":
            return self.threshold
        return "allowed." if self.commercial == "yes" else "not allowed."


class LicenseCatalog:
    """Every described license by its id."""

    def __init__(self, licenses: Iterable[License]) -> None:
        self._licenses = {one.id: one for one in licenses}  # a later one replaces an earlier

    @classmethod
    def load(cls, extra: Path | None = None) -> LicenseCatalog:
        """Read the descriptions that come with Verso, then the operator's folder of more.

        A file of the operator replaces the one with the same id: that is how a disabled license is
        confirmed.

        Raises:
            LicenseError: a description is malformed; the message names the file.
        """
        own = resources.files("attribution") / "licenses"
        files = [*read_folder(own, sets=own), *(read_folder(extra, sets=own) if extra else ())]
        return cls(_license(file) for file in files)

    def get(self, license_id: str) -> License:
        """The license with this id.

        Raises:
            UnknownLicenseError: none is described.
        """
        try:
            return self._licenses[license_id]
        except KeyError:
            raise UnknownLicenseError(license_id) from None

    def __iter__(self) -> Iterator[License]:
        return iter(sorted(self._licenses.values(), key=lambda one: one.id))

    def __len__(self) -> int:
        return len(self._licenses)


def _license(file: LicenseFile) -> License:
    return License(
        id=file.id,
        name=file.name,
        edition=file.edition,
        url=file.url,
        commercial=file.commercial,
        output=file.output,
        pass_on=file.pass_on,
        territory=file.territory,
        confidence=file.confidence,
        enabled=file.enabled,
        disabled_reason=file.disabled_reason,
        threshold=file.threshold,
        threshold_usd=file.threshold_usd,
        threshold_users=file.threshold_users,
        threshold_inclusive=file.threshold_inclusive,
        notice=file.notice,
        notice_where=file.notice_where,
        restrictions=tuple(Clause(id=one.id, text=one.text) for one in file.restrictions),
        duties=file.duties,
        output_training=file.output_training,
        territory_denied=file.territory_denied,
        policy_url=file.policy_url,
        models=file.models,
        full_text=file.full_text or None,
        full_text_sha256=file.full_text_sha256,
        full_text_source=file.full_text_source,
    )
