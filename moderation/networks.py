"""Networks whose weight files ship inside a package: found without running the package, digest pinned.

Only the file is used. The packages' own code is never imported: it may install packages, download files
or set up logging of its own.
"""

from __future__ import annotations

import functools
import hashlib
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from moderation.errors import RuleDataError

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True, kw_only=True, slots=True)
class WeightFile:
    """One weight file inside an installed package."""

    package: str  # the module's name
    path: str  # inside the package's folder
    sha256: str

    def read(self) -> bytes:
        """Return the file's bytes.

        Raises:
            RuleDataError: the package is not installed, or the file is not the one that was measured.
        """
        name = Path(self.path).name
        data = self.find().read_bytes()
        if hashlib.sha256(data).hexdigest() != self.sha256:
            raise RuleDataError(name, "is not the file whose figures we know")
        return data

    def find(self) -> Path:
        """Return where the file lies.

        Raises:
            RuleDataError: the package is not installed, or lacks the file.
        """
        spec = importlib.util.find_spec(self.package)  # finds the folder; the package itself is not run
        for folder in (spec.submodule_search_locations if spec is not None else None) or ():
            file = Path(folder) / self.path
            if file.is_file():
                return file
        name = Path(self.path).name
        raise RuleDataError(name, f"the package {self.package} with the weight file is not installed")


@functools.cache
def open_network(weights: WeightFile) -> InferenceSession:
    """Open a network for one CPU thread; rules that read the same file share it. Running it is thread-safe.

    Raises:
        RuleDataError: see `WeightFile.read`.
    """
    import onnxruntime  # noqa: PLC0415 - 40 MB that only pictures need

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(weights.read(), options, providers=["CPUExecutionProvider"])
