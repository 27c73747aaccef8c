"""Who guards the vault's key: the key folder alone, or a program in front of a key service (KMS, HSM).

The key file holds the key as base64, or, after the word `sealed`, what the program made of it (envelope
encryption, NIST SP 800-57 part 1, section 6.2.2). The program is asked once at each start.
"""

from __future__ import annotations

import base64
import binascii
import shlex
import subprocess
from dataclasses import dataclass
from typing import Protocol

from attribution.errors import VaultError

_SEALED = b"sealed "
_TIMEOUT_S = 30.0
_MAX_BYTES = 32_768


class KeyService(Protocol):
    """Turns a key into what may lie in a file, and back."""

    def wrap(self, key: bytes) -> bytes:
        """The content of the key's file.

        Raises:
            VaultError: the service cannot be asked.
        """
        ...

    def unwrap(self, content: bytes) -> bytes:
        """The key in a file.

        Raises:
            VaultError: the service cannot be asked, or refuses.
            ValueError: the content is damaged.
        """
        ...


class PlainFile:
    """The key itself, as base64: whoever reads the folder has it."""

    def wrap(self, key: bytes) -> bytes:
        """Encode."""
        return base64.b64encode(key) + b"\n"

    def unwrap(self, content: bytes) -> bytes:
        """Decode.

        Raises:
            VaultError: it is sealed.
            ValueError: it is no base64.
        """
        if content.startswith(_SEALED):
            raise VaultError(
                "the vault's key is sealed: set VERSO_KEYS__COMMAND to the program that opens it"
            )
        return _decoded(content)


@dataclass(frozen=True, kw_only=True, slots=True)
class CommandService:
    """Asks a program, `PROGRAM wrap` or `PROGRAM unwrap`: base64 on standard input and on standard output.

    A file that is not sealed yet is still read, so that a rotation can move the key behind the program.
    """

    command: str  # with its arguments, as a shell would split them; no shell runs

    def wrap(self, key: bytes) -> bytes:
        """Seal; errors as `KeyService.wrap`."""
        return _SEALED + base64.b64encode(self._ask("wrap", key)) + b"\n"

    def unwrap(self, content: bytes) -> bytes:
        """Open; errors as `KeyService.unwrap`."""
        if not content.startswith(_SEALED):
            return _decoded(content)
        return self._ask("unwrap", _decoded(content.removeprefix(_SEALED)))

    def _ask(self, what: str, data: bytes) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603 - the operator's own program, without a shell
                [*shlex.split(self.command), what],
                input=base64.b64encode(data) + b"\n",
                capture_output=True,
                timeout=_TIMEOUT_S,
                check=False,
            )
        except (OSError, ValueError, subprocess.TimeoutExpired) as error:
            raise VaultError(f"the key service cannot be asked ({type(error).__name__})") from None
        if done.returncode != 0:
            raise VaultError(f"the key service refused to {what} (exit {done.returncode})")
        try:
            return _decoded(done.stdout)
        except ValueError:
            raise VaultError("the key service answered with something that is no base64") from None


def service_of(command: str) -> KeyService:
    """The service that the settings name; an empty command: files alone."""
    return CommandService(command=command) if command.strip() else PlainFile()


def _decoded(text: bytes) -> bytes:
    try:
        return base64.b64decode(text.strip()[:_MAX_BYTES], validate=True)
    except binascii.Error:
        raise ValueError("no base64") from None
