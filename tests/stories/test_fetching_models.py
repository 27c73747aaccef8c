"""`verso models fetch` against a server that speaks the hub's part of HTTP."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from generation.catalog import Catalog
from generation.errors import ModelLoadError

REVISION = "5e1f" * 10
LICENSE = "Apache-2.0"
FILES = {
    "model_index.json": b'{"_class_name": "StableDiffusionPipeline"}',
    "unet/diffusion_pytorch_model.safetensors": bytes(range(256))
    * 50_000,  # 12.8 MB: the client keeps what it has in pieces of 10
}


class Hub:
    """Serves the files of one commit of one repository."""

    def __init__(self) -> None:
        self.files = dict(FILES)
        self.asked: list[tuple[str, str, str]] = []  # method, path, range
        self.break_off_after: int | None = None  # bytes of the next large answer
        self.size_told: int | None = None
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self._answer(body=False)

            def do_GET(self) -> None:
                self._answer(body=True)

            def log_message(self, *_: object) -> None:
                pass

            def _answer(self, *, body: bool) -> None:
                asked = self.headers.get("Range", "")
                hub.asked.append((self.command, self.path, asked))
                name = self.path.removeprefix(f"/org/tiny/resolve/{REVISION}/")
                data = hub.files.get(name)
                if data is None:
                    self.send_response(404)
                    self.send_header("X-Error-Code", "EntryNotFound")
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                start = int(re.match(r"bytes=(\d+)-", asked)[1]) if asked else 0
                self.send_response(206 if start else 200)
                self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
                self.send_header("X-Repo-Commit", REVISION)
                size = hub.size_told if self.command == "HEAD" and hub.size_told else len(data) - start
                self.send_header("Content-Length", str(size))
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
                self.end_headers()
                if not body:
                    return
                if hub.break_off_after is not None and len(data) > hub.break_off_after:
                    self.wfile.write(data[start : start + hub.break_off_after])
                    hub.break_off_after = None
                    self.close_connection = True
                    return
                self.wfile.write(data[start:])

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever)
        self.thread.start()

    def close(self) -> None:
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()


@pytest.fixture
def hub() -> Iterator[Hub]:
    hub = Hub()
    yield hub
    hub.close()


def a_card(folder: Path, *, files: dict[str, str] | None = None, revision: str = REVISION) -> Path:
    pinned = files or {name: hashlib.sha256(data).hexdigest() for name, data in FILES.items()}
    lines = "\n".join(f'"{name}" = "{digest}"' for name, digest in pinned.items())
    file = folder / "catalog.toml"
    file.write_text(f"""
[[model]]
id = "tiny"
name = "Tiny"
family = "stable_diffusion"
folder = "models/tiny"
revision = "{revision}"
license_id = "{LICENSE}"
width = 64
height = 64
max_pixels = 4096
default_steps = 2
max_steps = 4
default_guidance = 1.0
[model.hub]
repo = "org/tiny"
[model.hub.files]
{lines}
""")
    return file


def verso(hub: Hub, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "COLUMNS": "500",
        "HF_ENDPOINT": f"http://127.0.0.1:{hub.server.server_port}",
        "VERSO_DATA_DIR": str(folder / "data"),
        "VERSO_CATALOG__PATH": str(folder / "catalog.toml"),
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    return subprocess.run(  # noqa: S603 - our own command
        [sys.executable, "-m", "bot", "models", "fetch", *arguments],
        env=environment,
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_model_is_fetched_as_its_card_pins_it(hub: Hub, tmp_path: Path) -> None:
    file = a_card(tmp_path)
    with pytest.raises(ModelLoadError, match="verso models fetch tiny"):
        Catalog.load([file])
    hub.break_off_after = 11_000_000
    done = verso(hub, tmp_path, "tiny", "--accept-license", LICENSE, "--json")
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "models" / "tiny"
    for name, data in FILES.items():
        assert (folder / name).read_bytes() == data
    # It went on where the line broke; nothing but the named files was asked for, of the pinned commit.
    assert any(asked.startswith("bytes=") and asked != "bytes=0-" for _, _, asked in hub.asked)
    assert {path for _, path, _ in hub.asked} == {f"/org/tiny/resolve/{REVISION}/{name}" for name in FILES}
    accepted = json.loads((folder / ".license-accepted.json").read_text())
    assert accepted["license"] == LICENSE
    assert not list(folder.parent.glob(".*"))  # no half download is left
    digest = json.loads(done.stdout)["weights_sha256"]
    file.write_text(file.read_text().replace("[model.hub]", f'weights_sha256 = "{digest}"\n[model.hub]'))
    assert Catalog.load([file]).get("tiny").weights_sha256 == digest
    again = verso(hub, tmp_path, "tiny", "--accept-license", LICENSE)
    assert again.returncode == 1
    assert "is there already" in again.stderr


def test_without_the_license_nothing_is_asked_of_the_hub(hub: Hub, tmp_path: Path) -> None:
    a_card(tmp_path)
    for arguments in ((), ("--accept-license", "MIT")):
        done = verso(hub, tmp_path, "tiny", *arguments)
        assert done.returncode == 5
        assert f"--accept-license {LICENSE}" in done.stderr
    assert hub.asked == []
    assert not (tmp_path / "models").exists()


def test_another_file_than_the_pinned_one_is_refused(hub: Hub, tmp_path: Path) -> None:
    a_card(tmp_path)
    name = "unet/diffusion_pytorch_model.safetensors"
    hub.files[name] = b"evil" * 100
    done = verso(hub, tmp_path, "tiny", "--accept-license", LICENSE)
    assert done.returncode == 1
    assert "SHA-256 differs" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "models" / "tiny").exists()
    assert not (tmp_path / "models" / ".tiny.fetch" / name).exists()
    hub.files[name] = FILES[name]  # the right one: the rest is kept from the first time
    hub.asked.clear()
    assert verso(hub, tmp_path, "tiny", "--accept-license", LICENSE).returncode == 0
    assert {path.rsplit("/", 1)[1] for _, path, _ in hub.asked} == {name.rsplit("/", 1)[1]}


def test_a_full_disk_a_missing_file_and_a_branch_are_named(hub: Hub, tmp_path: Path) -> None:
    a_card(tmp_path)
    hub.size_told = 2**60
    full = verso(hub, tmp_path, "tiny", "--accept-license", LICENSE)
    assert full.returncode == 1
    assert "the disk has" in full.stderr
    hub.size_told = None
    del hub.files["model_index.json"]
    missing = verso(hub, tmp_path, "tiny", "--accept-license", LICENSE)
    assert missing.returncode == 1
    assert "no such repository, revision or file" in missing.stderr
    a_card(tmp_path, revision="main")
    hub.asked.clear()
    branch = verso(hub, tmp_path, "tiny", "--accept-license", LICENSE)
    assert branch.returncode == 1
    assert "must be a commit" in branch.stderr
    assert hub.asked == []


@pytest.mark.parametrize(
    "name", ["pytorch_model.bin", "../x.json", "/etc/x.json", "a/./b.json", ".git/config.json", "a\\\\b.json"]
)
def test_pickles_and_crooked_paths_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ModelLoadError, match=r"hub\.files"):
        Catalog.load([a_card(tmp_path, files={name: "0" * 64})])
