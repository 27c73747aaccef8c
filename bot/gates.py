"""Which models the operator may offer: the catalog's switch, and the licenses of the model and its LoRAs."""

from __future__ import annotations

from dataclasses import dataclass

from attribution.licenses import LicenseCatalog
from generation.catalog import ModelCard


@dataclass(frozen=True, slots=True)
class Gate:
    """Asks every license of a model about the facts that the operator stated."""

    licenses: LicenseCatalog
    commercial: bool = False
    territory: str = ""  # ISO 3166 alpha-2; empty: not stated
    revenue_usd: int | None = None  # a year, with affiliates; None: not stated
    monthly_users: int | None = None  # None: not stated

    def __call__(self, model: ModelCard) -> str | None:
        """Why the model may not be used here; None: it may.

        Raises:
            LicenseError: the model or a LoRA names a license that is not known.
        """
        if not model.enabled:
            return "the operator has not enabled it"
        for license_id in (model.license_id, *(lora.license_id for lora in model.loras)):
            reason = self.licenses.get(license_id).blocked_for(
                commercial=self.commercial,
                territory=self.territory,
                revenue_usd=self.revenue_usd,
                monthly_users=self.monthly_users,
            )
            if reason is not None:
                return reason
        return None
