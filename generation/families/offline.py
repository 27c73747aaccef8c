"""Imports the model libraries so that they stay quiet, and never reach for a network."""

from __future__ import annotations

import os

_ENVIRONMENT = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_DISABLE_PROGRESS_BARS": "1",
    "DISABLE_TELEMETRY": "1",
    "DO_NOT_TRACK": "1",
    "TRANSFORMERS_VERBOSITY": "error",
    "DIFFUSERS_VERBOSITY": "error",
    "TRANSFORMERS_NO_ADVISORY_WARNINGS": "1",
}


def quiet_and_offline() -> None:
    """Call it before the first import of diffusers or transformers; calling it again does no harm.

    The environment also reaches child processes; it is set, not merely defaulted, because an operator's hub
    settings are for downloads that Verso never makes while it draws.
    """
    os.environ.update(_ENVIRONMENT)
    import diffusers.utils.logging as diffusers_logging  # noqa: PLC0415 - after the environment is set
    import huggingface_hub.constants  # noqa: PLC0415
    import transformers.utils.logging as transformers_logging  # noqa: PLC0415

    huggingface_hub.constants.HF_HUB_OFFLINE = True  # in case something imported it before us
    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()
