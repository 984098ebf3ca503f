"""Downloads from a server on this machine, with archives of the published form made from generated files."""

import gzip
import hashlib
import io
import os
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import psutil
import pytest

from running.command import Problem
from sets import download as module
from sets import originals, web
from sets.download import download
from sets.licences import SOURCES

CHASE = {f"Image_{number:02d}{eye}{kind}": os.urandom(3000)
         for number in (1, 2) for eye in "LR" for kind in (".jpg", "_1stHO.png", "_2ndHO.png")}
HRF = {place: os.urandom(2000) for place in (
    "images/01_dr.JPG", "images/01_h.jpg", "manual1/01_dr.tif", "manual1/01_h.tif", "mask/01_dr_mask.tif",
    "mask/01_h_mask.tif", *originals.UNKNOWN["HRF"])}
STARE = {place: os.urandom(2000) for place in (
    "stare-images/im0001.ppm", "stare-images/im0002.ppm", "labels-ah/im0001.ah.ppm",
    "labels-ah/im0002.ah.ppm", "labels-vk/im0001.vk.ppm", "labels-vk/im0002.vk.ppm")}


def zipped(members):
    """{name: bytes} as a zip, in bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(members):
    """{name: bytes, or (type, link name)} as a tar, in bytes."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            if isinstance(content, bytes):
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            else:
                entry.type, entry.linkname = content
                archive.addfile(entry)
    return buffer.getvalue()


def stare_archives(spoil=None):
    """{name: tar in bytes} of STARE: every member gzipped. `spoil`: more members for the first."""
    archives = {}
    for group in ("stare-images", "labels-ah", "labels-vk"):
        members = {f"{Path(place).name}.gz": gzip.compress(content)
                   for place, content in STARE.items() if place.startswith(group)}
        archives[f"{group}.tar"] = tarred({**(spoil or {}), **members})
        spoil = None
    return archives


class Site(BaseHTTPRequestHandler):
    """Serves `server.files` {path: (status, content type, bytes)}, and breaks off as `server.cuts` says."""

    def do_GET(self):
        site = self.server
        status, kind, content = site.files.get(self.path, (404, "text/html", b"<html>gone</html>"))
        asked = self.headers.get("Range")
        site.asked.append((self.path, asked))
        if status in (301, 302):
            self.send_response(status)
            self.send_header("Location", kind)
            return self.end_headers()
        start = int(asked[len("bytes="):-1]) if asked and site.ranges else 0
        if start > len(content):
            status, content, start = 416, b"", 0
        self.send_response(206 if start else status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", len(content) - start)
        if start:
            self.send_header("Content-Range", f"bytes {start + site.shift}-{len(content) - 1}/{len(content)}")
        self.end_headers()
        cut = site.cuts.pop(0) if site.cuts else None
        self.wfile.write(content[start + site.shift * (start > 0):cut])

    def log_message(self, *_):
        pass


@pytest.fixture
def site(monkeypatch):
    """A running server; `site.offer({name: bytes})` gives the addresses."""
    monkeypatch.setenv("no_proxy", "*")
    monkeypatch.setattr(web, "PAUSE", 0)
    monkeypatch.setattr(web, "BLOCK", 1000)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Site)
    server.files, server.asked, server.cuts, server.ranges, server.shift = {}, [], [], True, 0
    server.here = f"http://127.0.0.1:{server.server_port}"

    def offer(archives, kind="application/octet-stream", status=200, under=""):
        server.files |= {f"{under}/{name}": (status, kind, content) for name, content in archives.items()}
        return [f"{server.here}{under}/{name}" for name in archives]

    server.offer = offer
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture(autouse=True)
def known(tmp_path_factory, monkeypatch):
    """The sums of the generated files in place of the real ones."""
    lines = [f"{hashlib.sha256(content).hexdigest()}  {name}/{place}"
             for name, files in (("CHASE_DB1", CHASE), ("HRF", HRF), ("STARE", STARE))
             for place, content in files.items() if place not in originals.UNKNOWN.get(name, ())]
    monkeypatch.setattr(originals, "LIST", tmp_path_factory.mktemp("sums") / "SHA256SUMS")
    originals.LIST.write_text("\n".join(lines))


def tree(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refused(site, tmp_path, archives, name="chase_db1", **offer):
    """What download says to these archives, after making sure that it left nothing at all."""
    with pytest.raises(Problem) as problem:
        download(name, tmp_path / "sets", [site.offer(archives, **offer)])
    assert list((tmp_path / "sets").iterdir()) == []
    assert list(tmp_path.iterdir()) == [tmp_path / "sets"]
    return str(problem.value)


def test_a_zip_becomes_the_layout_and_the_archive_goes(site, tmp_path, capsys):
    more = {"__MACOSX/._Image_01L.jpg": b"x", "readme.txt": b"x"}
    where = site.offer({"CHASEDB1.zip": zipped({**CHASE, **more})})
    assert download("chase_db1", tmp_path, [where]) == tmp_path / "CHASE_DB1"
    assert tree(tmp_path) == {f"CHASE_DB1/{name}": content for name, content in CHASE.items()}
    said = capsys.readouterr()
    assert "CC BY 4.0" in said.out and "Fraz" in said.out
    assert said.err == ""  # no bar where there is no terminal


def test_members_in_folders_find_their_place(site, tmp_path):
    packed = {f"HRF/all/{Path(place).name}": content for place, content in HRF.items()}
    download("hrf", tmp_path, [site.offer({"all.zip": zipped(packed)})])
    assert tree(tmp_path / "HRF") == HRF


def test_only_the_three_labels_of_unknown_sum_may_differ(site, tmp_path, capsys):
    other = {**HRF, **dict.fromkeys(originals.UNKNOWN["HRF"], b"another")}
    download("hrf", tmp_path / "a", [site.offer({"all.zip": zipped(other)})])
    assert "manual1/12_h.tif" in capsys.readouterr().out
    other["manual1/01_h.tif"] = b"another"
    said = refused(site, tmp_path / "b", {"all.zip": zipped(other)}, "hrf")
    assert "manual1/01_h.tif is not the original" in said


def test_gzipped_members_are_checked_by_what_is_inside(site, tmp_path):
    download("stare", tmp_path, [site.offer(stare_archives())])
    assert {name: gzip.decompress(content) for name, content in tree(tmp_path / "STARE").items()} == {
        f"{place}.gz": content for place, content in STARE.items()}


def test_a_cut_connection_is_taken_up_where_it_broke(site, tmp_path):
    archive = zipped(CHASE)
    site.cuts = [5000, 5000 + 9000]
    download("chase_db1", tmp_path, [site.offer({"CHASEDB1.zip": archive})])
    assert [asked for _, asked in site.asked] == [None, "bytes=5000-", "bytes=14000-"]
    assert tree(tmp_path / "CHASE_DB1") == CHASE


def test_the_next_command_goes_on_where_the_last_one_broke(site, tmp_path):
    site.cuts = [4000] * web.TRIES
    where = site.offer({"CHASEDB1.zip": zipped(CHASE)})
    with pytest.raises(Problem, match="the same command goes on"):
        download("chase_db1", tmp_path, [where])
    assert [path.name for path in tmp_path.iterdir()] == [".download"]
    site.asked.clear()
    download("chase_db1", tmp_path, [where])
    assert [asked for _, asked in site.asked] == ["bytes=4000-"]
    assert [path.name for path in tmp_path.iterdir()] == ["CHASE_DB1"]


@pytest.mark.parametrize(("ranges", "shift"), [(False, 0), (True, 7)], ids=["ignores ranges", "wrong range"])
def test_a_server_that_cannot_resume_is_asked_again_from_the_start(site, tmp_path, ranges, shift):
    site.ranges, site.shift, site.cuts = ranges, shift, [5000]
    download("stare", tmp_path, [site.offer(stare_archives())])
    assert len(tree(tmp_path / "STARE")) == 6


def test_a_partial_archive_longer_than_the_file_is_thrown_away(site, tmp_path):
    where = site.offer({"CHASEDB1.zip": zipped({**CHASE, "more": os.urandom(9000)})})
    site.cuts = [len(zipped(CHASE)) + 5000] + [0] * (web.TRIES - 1)
    with pytest.raises(Problem):
        download("chase_db1", tmp_path, [where])
    download("chase_db1", tmp_path, [site.offer({"CHASEDB1.zip": zipped(CHASE)})])
    assert tree(tmp_path / "CHASE_DB1") == CHASE


def test_a_wrong_sum_leaves_nothing(site, tmp_path):
    said = refused(site, tmp_path, {"CHASEDB1.zip": zipped({**CHASE, "Image_02R.jpg": b"another"})})
    assert "Image_02R.jpg is not the original" in said
    assert "CHASEDB1.zip in" in said and "kingston.ac.uk" in said  # where to go, what to save where


def test_no_archive_is_open_when_it_is_removed(site, tmp_path, monkeypatch):
    """Windows would refuse it."""
    unlink, removed = Path.unlink, []

    def watched(path, *rest, **more):
        assert str(path) not in [file.path for file in psutil.Process().open_files()]
        removed.append(path.name)
        unlink(path, *rest, **more)

    monkeypatch.setattr(Path, "unlink", watched)
    monkeypatch.setattr(module, "LARGEST_SET", 1)
    assert "unpacks to more" in refused(site, tmp_path, {"CHASEDB1.zip": zipped(CHASE)})
    assert "CHASEDB1.zip" in removed


def test_a_missing_file_leaves_nothing(site, tmp_path):
    fewer = dict(list(CHASE.items())[1:])
    assert "Image_01L.jpg is missing" in refused(site, tmp_path, {"CHASEDB1.zip": zipped(fewer)})


@pytest.mark.parametrize("name", ["../../evil", "/tmp/evil-vessels", "..\\..\\evil",
                                  "a/../../../Image_01L.jpg"])
def test_no_name_leads_out_of_the_folder(site, tmp_path, name):
    """They are passed over or, if they end in an original's name, land in its place and are checked."""
    where = site.offer({"CHASEDB1.zip": zipped({**CHASE, name: CHASE["Image_01L.jpg"]})})
    download("chase_db1", tmp_path / "a" / "b", [where])
    assert tree(tmp_path) == {f"a/b/CHASE_DB1/{place}": content for place, content in CHASE.items()}
    assert not Path("/tmp/evil-vessels").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_in_a_tar_are_not_made(site, tmp_path, kind):
    outside = tmp_path / "outside"
    outside.mkdir()
    spoil = {"stare-images": (kind, str(outside)), "im0001.ppm.gz": (kind, str(outside / "x")),
             "../im0002.ppm.gz": (kind, "/etc/passwd")}
    download("stare", tmp_path / "sets", [site.offer(stare_archives(spoil))])
    assert list(outside.iterdir()) == []
    made = list((tmp_path / "sets" / "STARE").rglob("*"))
    assert len(made) == 6 + 3 and not any(path.is_symlink() for path in made)
    assert all(path.is_dir() or path.is_file() for path in made)


def test_a_link_in_place_of_a_photograph_is_a_missing_photograph(site, tmp_path):
    archives = stare_archives()
    archives["stare-images.tar"] = tarred({"im0001.ppm.gz": (tarfile.SYMTYPE, "/etc/passwd")})
    assert "im0001.ppm is missing" in refused(site, tmp_path, archives, "stare")


def test_bombs_are_defused(site, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "LARGEST_SET", 1_000_000)
    bomb = zipped({**CHASE, "Image_01L.jpg": bytes(5_000_000)})
    said = refused(site, tmp_path / "a", {"CHASEDB1.zip": bomb})
    assert "unpacks to more than" in said
    monkeypatch.setattr(module, "MOST_MEMBERS", 50)
    many = {f"{number}": b"" for number in range(60)}
    said = refused(site, tmp_path / "b", {"CHASEDB1.zip": zipped({**CHASE, **many})})
    assert "more than 50 members" in said
    assert "more than 50 members" in refused(site, tmp_path / "c", stare_archives(many), "stare")
    monkeypatch.setattr(web, "LARGEST_ARCHIVE", 10_000)
    assert "is larger than" in refused(site, tmp_path / "d", {"CHASEDB1.zip": zipped(CHASE)})


def test_a_gzip_bomb_is_not_an_original(site, tmp_path):
    archives = stare_archives()
    archives["labels-vk.tar"] = tarred({"im0001.vk.ppm.gz": gzip.compress(bytes(300_000))})
    assert "im0001.vk.ppm is not the original" in refused(site, tmp_path, archives, "stare")


@pytest.mark.parametrize(("content", "kind"), [(b"<html>Are you human?</html>", "text/html; charset=utf-8"),
                                               (b"\n<!DOCTYPE html>wait", "application/zip"),
                                               (b"Are you human?", "text/html")])
def test_a_check_for_robots_is_said_with_the_page_to_open(site, tmp_path, content, kind):
    said = refused(site, tmp_path, {"CHASEDB1.zip": content}, kind=kind)
    assert "web page" in said
    assert f"Open {SOURCES['chase_db1'].page} in a browser. Save CHASEDB1.zip in {tmp_path / 'sets'}" in said


@pytest.mark.parametrize(("status", "word"), [(403, "programs are refused"), (404, "not there"),
                                              (500, "error")])
def test_a_refusal_is_a_sentence(site, tmp_path, status, word):
    said = refused(site, tmp_path, {"CHASEDB1.zip": b"<html>"}, status=status)
    assert str(status) in said and word in said and "\n" not in said


def test_no_network_is_a_sentence(tmp_path):
    with pytest.raises(Problem, match="cannot be reached"):
        download("chase_db1", tmp_path, [["http://127.0.0.1:9/CHASEDB1.zip"]])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"Access denied", b"PK\x05\x06 nothing else"])
def test_what_is_not_an_archive_is_said(site, tmp_path, content):
    assert "is damaged, or not the archive" in refused(site, tmp_path, {"CHASEDB1.zip": content})


def test_an_archive_cut_or_changed_anywhere_is_refused(site, tmp_path):
    whole = zipped(CHASE)
    for place in range(1, len(whole), len(whole) // 20):
        refused(site, tmp_path / f"cut {place}", {"CHASEDB1.zip": whole[:place]})
    whole = stare_archives()["stare-images.tar"]  # its last photograph is there from 3072 to 4600 and beyond
    for place in range(1, 4600, 229):
        archives = {**stare_archives(), "stare-images.tar": whole[:place]}
        refused(site, tmp_path / f"tar {place}", archives, "stare")


@pytest.mark.parametrize("elsewhere", ["file:///etc/hostname", "ftp://127.0.0.1/x.zip", "data:,x"])
def test_no_redirection_leads_to_anything_but_http(site, tmp_path, elsewhere):
    said = refused(site, tmp_path, {"CHASEDB1.zip": b""}, status=302, kind=elsewhere)
    assert "answers 302" in said or "cannot be reached" in said


def test_other_kinds_of_address_are_not_opened(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "CHASEDB1.zip").write_bytes(zipped(CHASE))
    with pytest.raises(Problem, match="cannot be reached"):
        download("chase_db1", tmp_path, [[(tmp_path / "there" / "CHASEDB1.zip").as_uri()]])


def test_where_one_site_fails_the_next_is_asked(site, tmp_path):
    ways = [[f"{site.here}/gone/CHASEDB1.zip"],
            site.offer({"CHASEDB1.zip": zipped({**CHASE, "Image_01L.jpg": b""})}, under="/other"),
            site.offer({"CHASEDB1.zip": zipped(CHASE)}, under="/right")]
    download("chase_db1", tmp_path, ways)
    assert list(tmp_path.iterdir()) == [tmp_path / "CHASE_DB1"]


def test_what_one_site_sent_is_not_continued_at_another(site, tmp_path):
    site.cuts = [5000] * web.TRIES
    ways = [site.offer({"CHASEDB1.zip": b"PK" + os.urandom(50_000)}, under="/other"),
            site.offer({"CHASEDB1.zip": zipped(CHASE)}, under="/right")]
    download("chase_db1", tmp_path, ways)
    assert site.asked[-1] == ("/right/CHASEDB1.zip", None)


def test_an_archive_saved_by_hand_is_taken_and_stays(site, tmp_path):
    (tmp_path / "CHASEDB1.zip").write_bytes(zipped(CHASE))
    download("chase_db1", tmp_path, [[f"{site.here}/all.zip"], [f"{site.here}/CHASEDB1.zip"]])
    assert site.asked == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["CHASEDB1.zip", "CHASE_DB1"]


def test_a_broken_archive_saved_by_hand_is_named_and_stays(site, tmp_path):
    (tmp_path / "CHASEDB1.zip").write_bytes(zipped(CHASE)[:-100])
    with pytest.raises(Problem, match=r"CHASEDB1.zip: is damaged.*delete it there"):
        download("chase_db1", tmp_path, [[f"{site.here}/CHASEDB1.zip"]])
    assert [path.name for path in tmp_path.iterdir()] == ["CHASEDB1.zip"]


def test_what_is_there_is_never_overwritten(site, tmp_path, capsys):
    where = [site.offer({"CHASEDB1.zip": zipped(CHASE)})]
    download("chase_db1", tmp_path, where)
    site.asked.clear()
    download("chase_db1", tmp_path, where)
    assert "Nothing to do" in capsys.readouterr().out
    (tmp_path / "CHASE_DB1" / "Image_01L.jpg").write_bytes(b"mine")
    with pytest.raises(Problem, match="Move it away"):
        download("chase_db1", tmp_path, where)
    assert (tmp_path / "CHASE_DB1" / "Image_01L.jpg").read_bytes() == b"mine" and site.asked == []


def test_what_a_killed_run_left_is_cleared(site, tmp_path):
    left = tmp_path / ".download" / "CHASE_DB1" / "unpacked"
    left.mkdir(parents=True)
    (left / "Image_01L.jpg").write_bytes(b"half")
    (left / "stray").write_bytes(b"half")
    download("chase_db1", tmp_path, [site.offer({"CHASEDB1.zip": zipped(CHASE)})])
    assert tree(tmp_path) == {f"CHASE_DB1/{name}": content for name, content in CHASE.items()}


def test_ctrl_c_leaves_the_archive_only(site, tmp_path, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "content_sum", interrupted)
    with pytest.raises(KeyboardInterrupt):
        download("chase_db1", tmp_path, [site.offer({"CHASEDB1.zip": zipped(CHASE)})])
    assert [Path(name).parts[0] for name in tree(tmp_path)] == [".download"]
    assert [Path(name).name for name in tree(tmp_path)] == ["CHASEDB1.zip"]


def test_what_only_a_person_can_fetch_is_not_tried(tmp_path):
    with pytest.raises(Problem, match="make an account there"):
        download("drive", tmp_path)
    assert list(tmp_path.iterdir()) == []
