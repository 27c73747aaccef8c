"""Failures of drawing and queueing; facts are attributes, words are chosen in `bot.replies`."""

from __future__ import annotations


class GenerationError(Exception):
    """Something went wrong while drawing."""

    code = "generation_failed"
    retryable = False


class UnknownModelError(GenerationError):
    """No such model is in the catalog."""

    code = "unknown_model"

    def __init__(self, model_id: str, known: tuple[str, ...] = ()) -> None:
        super().__init__(f"unknown model {model_id!r}")
        self.model_id = model_id
        self.known = known


class RequestLimitError(GenerationError):
    """The request asks for more than a limit allows."""

    code = "request_limit"

    def __init__(self, *, field: str, value: object, limit: str, retry_after_s: float | None = None) -> None:
        super().__init__(f"{field} {value!r}: {limit}")
        self.field = field
        self.value = value
        self.limit = limit
        self.retry_after_s = retry_after_s


class QueueClosedError(GenerationError):
    """The operator lets the queue run dry: nothing new is taken."""

    code = "queue_closed"

    def __init__(self, *, reason: str = "") -> None:
        super().__init__("the queue takes nothing new")
        self.reason = reason


class ModelLoadError(GenerationError):
    """The model's files cannot be loaded."""

    code = "model_load"
    retryable = True

    def __init__(self, model_id: str, reason: str) -> None:
        super().__init__(f"cannot load model {model_id!r}: {reason}")
        self.model_id = model_id
        self.reason = reason


class ModelFetchError(GenerationError):
    """The model's files cannot be downloaded."""

    code = "model_fetch"

    def __init__(self, model_id: str, reason: str) -> None:
        super().__init__(f"cannot fetch model {model_id!r}: {reason}")
        self.model_id = model_id
        self.reason = reason


class ImageServerError(GenerationError):
    """The image server that draws for a model gave no picture."""

    code = "image_server"

    def __init__(self, reason: str, *, retryable: bool = False) -> None:
        super().__init__(f"the image server {reason}")
        self.reason = reason
        self.retryable = retryable


class OutOfMemoryError(GenerationError):
    """The device has too little memory for this request."""

    code = "out_of_memory"
    retryable = True


class DeviceStuckError(GenerationError):
    """The device hangs: a step did not end in time."""

    code = "device_stuck"
    retryable = True

    def __init__(self, device: str) -> None:
        super().__init__(f"device {device} does not answer")
        self.device = device


class JobCancelledError(GenerationError):
    """The job was cancelled."""

    code = "cancelled"


class LeaseLostError(GenerationError):
    """Another worker has taken this job over."""

    code = "lease_lost"


class BlobMissingError(GenerationError):
    """A stored picture is gone or damaged."""

    code = "blob_missing"


class StoredFormatError(GenerationError):
    """A stored job cannot be read by this version."""

    code = "stored_format"


class SourceImageError(GenerationError):
    """The source picture cannot be read."""

    code = "source_image"
