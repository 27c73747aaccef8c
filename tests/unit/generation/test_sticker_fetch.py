from __future__ import annotations

import hashlib
import http.server
import io
import socket
import tarfile
import threading
from collections import Counter

import pytest

from generation.sticker.fetch import NPM_REGISTRY, PACKAGES, Package, fetch, npm_registry
from generation.sticker.packages import DatasetError
from generation.sticker.sources import CLIPART, SOURCES


def tarball(name):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as archive:
        info = tarfile.TarInfo("package/package.json")
        info.size = len(name)
        archive.addfile(info, io.BytesIO(name))
    return buffer.getvalue()


FILES = {
    "/npm/@a/b/-/b-1.0.0.tgz": tarball(b"b"),
    "/npm/c/-/c-2.0.0.tgz": tarball(b"c"),
    "/debian/pool/d.deb": b"d" * 200_000,
}


def package(place, **fields):
    data = FILES[place]
    return Package(**{"size": len(data), "sha256": hashlib.sha256(data).hexdigest(), **fields})


WANTED = (
    package("/npm/@a/b/-/b-1.0.0.tgz", name="@a/b", version="1.0.0"),
    package("/npm/c/-/c-2.0.0.tgz", name="c", version="2.0.0"),
    package("/debian/pool/d.deb", name="d", version="3", path="pool/d.deb"),
)


class Registry:
    """An npm registry and a Debian mirror on one port of this machine."""

    def __init__(self):
        self.asked = Counter()
        self.cut: set[str] = set()
        asked, cut = self.asked, self.cut

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked[self.path] += 1
                data = FILES.get(self.path)
                self.send_response(200 if data else 404)
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write((data or b"")[: 100 if self.path in cut else None])

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self.server.server_port}"

    def fetch(self, folder, packages=WANTED):
        fetch(folder, packages, registry=f"{self.base}/npm/", mirror=f"{self.base}/debian")


@pytest.fixture
def registry():
    registry = Registry()
    thread = threading.Thread(target=registry.server.serve_forever)
    thread.start()
    yield registry
    registry.server.shutdown()
    registry.server.server_close()
    thread.join()


def test_packages_are_brought_and_unpacked_once(registry, tmp_path):
    folder = tmp_path / "packages"
    registry.fetch(folder)
    assert (folder / "a-b-1.0.0/package/package.json").read_bytes() == b"b"
    assert (folder / "c-2.0.0/package/package.json").read_bytes() == b"c"
    assert (folder / "d.deb").read_bytes() == FILES["/debian/pool/d.deb"]
    assert sorted(path.name for path in folder.iterdir()) == [
        "a-b-1.0.0", "a-b-1.0.0.tgz", "c-2.0.0", "c-2.0.0.tgz", "d.deb",
    ]  # fmt: skip
    registry.fetch(folder)
    assert registry.asked == dict.fromkeys(FILES, 1)


def test_a_damaged_file_is_brought_again_and_finished_ones_stay(registry, tmp_path):
    registry.fetch(tmp_path)
    (tmp_path / "d.deb").write_bytes(b"d" * 199_999 + b"e")
    registry.fetch(tmp_path)
    assert (tmp_path / "d.deb").read_bytes() == FILES["/debian/pool/d.deb"]
    assert registry.asked["/debian/pool/d.deb"] == 2
    assert registry.asked["/npm/c/-/c-2.0.0.tgz"] == 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"sha256": "0" * 64}, "gives another file"),
        ({"size": 10}, "more than 10 bytes"),
        ({"version": "9"}, "404"),
    ],
)
def test_what_is_not_the_pinned_file_does_not_stay(registry, tmp_path, fields, said):
    other = package("/npm/c/-/c-2.0.0.tgz", **{"name": "c", "version": "2.0.0", **fields})
    with pytest.raises(DatasetError, match=said):
        registry.fetch(tmp_path, [other])
    assert list(tmp_path.iterdir()) == []


def test_a_cut_transfer_does_not_stay(registry, tmp_path):
    registry.cut.add("/debian/pool/d.deb")
    with pytest.raises(DatasetError, match=r"IncompleteRead|gives another file"):
        registry.fetch(tmp_path)
    assert not (tmp_path / "d.deb").exists()
    registry.cut.clear()
    registry.fetch(tmp_path)
    assert (tmp_path / "d.deb").exists()
    assert registry.asked["/npm/c/-/c-2.0.0.tgz"] == 1


def test_without_a_network_it_says_which_files_to_put_where(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        base = f"http://127.0.0.1:{closed.getsockname()[1]}"
    (tmp_path / "c-2.0.0.tgz").write_bytes(FILES["/npm/c/-/c-2.0.0.tgz"])
    with pytest.raises(DatasetError) as raised:
        fetch(tmp_path, WANTED, registry=base, mirror=base)
    said = str(raised.value)
    assert f"Put these files into {tmp_path}" in said
    assert f"a-b-1.0.0.tgz  ({WANTED[0].size} bytes, SHA-256 {WANTED[0].sha256})" in said
    assert f"from {base}/@a/b/-/b-1.0.0.tgz" in said
    assert f"d.deb  (200,000 bytes, SHA-256 {WANTED[2].sha256})\n    from {base}/pool/d.deb" in said
    assert "c-2.0.0.tgz" not in said


def test_files_put_there_by_hand_need_no_network(tmp_path):
    for wanted, data in zip(WANTED, FILES.values(), strict=True):
        (tmp_path / wanted.file).write_bytes(data)
    fetch(tmp_path, WANTED, registry="http://127.0.0.1:1", mirror="http://127.0.0.1:1")
    assert (tmp_path / "c-2.0.0/package/package.json").exists()


def test_only_http_is_spoken(tmp_path):
    with pytest.raises(DatasetError, match="no http address"):
        fetch(tmp_path, WANTED, registry="file:///etc", mirror="file:///etc")


def test_npm_is_asked_for_its_registry(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert npm_registry() == NPM_REGISTRY
    npm = tmp_path / "npm"
    npm.write_text('#!/bin/sh\n[ "$*" = "config get registry" ] && echo "$npm_config_registry"\n')
    npm.chmod(0o755)
    monkeypatch.setenv("npm_config_registry", "https://npm.example.org/mirror")
    assert npm_registry() == "https://npm.example.org/mirror"
    monkeypatch.setenv("npm_config_registry", "undefined")
    assert npm_registry() == NPM_REGISTRY
    npm.write_text("#!/bin/sh\nexit 1\n")
    assert npm_registry() == NPM_REGISTRY


def test_every_source_is_pinned_in_the_version_of_the_recipe():
    pinned = {(item.name, item.version) for item in PACKAGES}
    wanted = {(source.package, source.version) for source in (*SOURCES, CLIPART) if source.kind != "own"}
    assert pinned == wanted | {("emojibase-data", "17.0.0")}
    assert {len(item.sha256) for item in PACKAGES} == {64}
    assert [item.name for item in PACKAGES if not item.shipped] == [CLIPART.package]
    (debian,) = (item for item in PACKAGES if item.path)
    assert debian.url(registry="", mirror="https://deb.debian.org/debian/") == (
        "https://deb.debian.org/debian/pool/main/o/openclipart/openclipart-svg_0.18+dfsg-19_all.deb"
    )
    assert PACKAGES[1].url(registry=NPM_REGISTRY, mirror="") == (
        "https://registry.npmjs.org/@lobehub/fluent-emoji-3d/-/fluent-emoji-3d-1.1.0.tgz"
    )
