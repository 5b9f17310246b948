"""Archives, folders and servers that are not what they should be."""

from __future__ import annotations

import hashlib
import stat
import warnings
import zipfile

from pipelines.fetch import zenodo
from tests.support.bad_input.kinds import bad
from tests.support.bad_input.place import Place, pack

POSTED = "data/downloads/posted.zip"
URL = "/files/pictures.zip: "


def _place_archive(place: Place, *names: str) -> None:
    with warnings.catch_warnings(), zipfile.ZipFile(place.posted, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # of a name that stands twice
        for name in names:
            archive.writestr(name, "picture")


def _replace(place: Place, before: bytes, after: bytes) -> None:
    place.posted.write_bytes(place.posted.read_bytes().replace(before, after))


def _serve(place: Place, **source: object) -> None:
    """Let `posted` come from the server."""
    place.site.content = b"PK\5\6" + bytes(18)  # an empty zip file
    place.describe(posted={"sources": [{"kind": "archive", "url": place.site.url, **source}]})


@bad("fetch posted", "posted cannot be downloaded by a program. Ask for it.", "place it at data/downloads/posted")
def archive_that_a_person_must_get(place: Place) -> None:
    """It was never placed."""


@bad("fetch posted", POSTED, "truncated or damaged", "Put a whole copy in its place")
def archive_that_is_cut(place: Place) -> None:
    pack(place.posted, place.folder / "scans")
    place.posted.write_bytes(place.posted.read_bytes()[:-30])


@bad("fetch posted", POSTED, "no zip or tar archive (it begins with b'<html>Pl')", "Expected a folder, or")
def archive_that_is_a_login_page(place: Place) -> None:
    place.posted.write_text("<html>Please log in</html>")


@bad("fetch posted", POSTED, "the file is empty. Expected a folder, or a zip or tar archive")
def archive_of_no_bytes(place: Place) -> None:
    place.posted.touch()


@bad("fetch posted", POSTED, "Bad CRC-32")
def archive_with_a_flipped_byte(place: Place) -> None:
    _place_archive(place, "a.png")
    _replace(place, b"picture", b"pictvre")


@bad("fetch posted", POSTED, "the entry '../a.png' leads out of its folder. The archive is refused")
def archive_that_leads_out(place: Place) -> None:
    _place_archive(place, "../a.png")


@bad("fetch posted", POSTED, "the entry '/tmp/a.png' leads out of its folder")
def archive_with_an_absolute_path(place: Place) -> None:
    _place_archive(place, "/tmp/a.png")


@bad("fetch posted", POSTED, "the entry 'a.png' would overwrite another")
def archive_with_a_name_twice(place: Place) -> None:
    _place_archive(place, "a.png", "a.png")


@bad("fetch posted", POSTED, "the entry 'link' is a link or a device")
def archive_with_a_link(place: Place) -> None:
    link = zipfile.ZipInfo("link")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(place.posted, "w") as archive:
        archive.writestr(link, "/etc/passwd")


@bad("fetch posted", POSTED, "the entry 'a.png' is encrypted. Unpack it by hand")
def archive_with_a_password(place: Place) -> None:
    _place_archive(place, "a.png")
    content = bytearray(place.posted.read_bytes())
    content[content.index(b"PK\x01\x02") + 8] |= 1
    place.posted.write_bytes(content)


@bad("fetch posted", POSTED, "wrong checksum. Found sha256:", "Remove it, and it is fetched from")
def archive_of_something_else(place: Place) -> None:
    _serve(place, file="posted.zip", checksum="sha256:" + "0" * 64)
    _place_archive(place, "a.png")


@bad(
    "fetch posted",
    POSTED,
    "holds 'images/benign/b00.png', as an archive before it does. Give its source another `into`",
)
def archives_with_the_same_files(place: Place) -> None:
    pack(place.posted, place.folder / "scans")
    local = {"kind": "local", "path": "../scans"}
    manual = {"kind": "manual", "page": "https://example.org", "how": "Ask for it.", "file": "posted"}
    place.describe(posted={"sources": [local, manual]})


@bad("fetch posted", "data/downloads/posted: no file in it")
def folder_placed_by_hand_that_is_empty(place: Place) -> None:
    (place.data / "downloads/posted").mkdir()


@bad("fetch posted", URL, "the server answered 404 Not Found", "place it at data/downloads/pictures.zip")
def server_that_lacks_the_file(place: Place) -> None:
    _serve(place)
    place.site.statuses = [404]


@bad("fetch posted", URL, "the server answered 403 Forbidden", "To go on by hand")
def server_that_forbids(place: Place) -> None:
    _serve(place)
    place.site.statuses = [403]


@bad("fetch posted", URL, "given up after 4 attempts without progress", "503 Service Unavailable", "To go on by hand")
def server_that_stays_busy(place: Place) -> None:
    _serve(place)
    place.site.statuses = [503] * 9


@bad("fetch posted", URL, "another length. Expected 5 bytes. Found 22", "To go on by hand")
def server_with_a_file_of_another_length(place: Place) -> None:
    _serve(place, bytes=5)


@bad("fetch posted", URL, "another checksum. Expected md5:0000", "To go on by hand")
def server_with_another_file(place: Place) -> None:
    _serve(place, checksum="md5:" + "0" * 32)


@bad("fetch posted", "http://127.0.0.1:9/a.zip: given up after 4 attempts", "no connection", "To go on by hand")
def server_that_is_not_there(place: Place) -> None:
    _serve(place, url="http://127.0.0.1:9/a.zip")


def _record(place: Place, page: object) -> None:
    place.site.describe("/records/12", page)
    zenodo.RECORDS = f"{place.site.root}/records"  # put back by the test
    place.describe(posted={"sources": [{"kind": "zenodo", "record": 12, "file": "a.zip"}]})


@bad("fetch posted", "/records/12: the record has no file a.zip. Found b.zip", "place it at data/downloads/a.zip")
def record_without_the_file(place: Place) -> None:
    _record(place, {"files": [{"key": "b.zip"}]})


@bad("fetch posted", "/records/12: not a description of a record", "place it at data/downloads/a.zip")
def record_that_is_something_else(place: Place) -> None:
    _record(place, ["welcome"])


@bad("fetch posted", URL, "another checksum. Expected md5:", "place it at data/downloads/a.zip")
def record_whose_file_has_changed(place: Place) -> None:
    place.site.content = b"PK\5\6" + bytes(18)
    md5 = hashlib.md5(b"").hexdigest()
    file = {"key": "a.zip", "size": 22, "checksum": f"md5:{md5}", "links": {"self": place.site.url}}
    _record(place, {"files": [file]})


@bad("fetch scans", "data/../nowhere: no such folder. Correct the path")
def folder_of_ones_own_that_is_not_there(place: Place) -> None:
    place.describe(scans={"sources": [{"kind": "local", "path": "../nowhere"}]})


@bad("fetch scans", "data/../empty: no file in it. Place the data set there")
def folder_of_ones_own_that_is_empty(place: Place) -> None:
    (place.folder / "empty").mkdir()
    place.describe(scans={"sources": [{"kind": "local", "path": "../empty"}]})


@bad("fetch scans", "data/..: holds the data folder itself")
def folder_of_ones_own_that_holds_the_data_folder(place: Place) -> None:
    place.describe(scans={"sources": [{"kind": "local", "path": ".."}]})


@bad("fetch scans", "scans/images/benign/lost.png: cannot be read (No such file or directory)")
def folder_of_ones_own_with_a_link_to_nothing(place: Place) -> None:
    (place.folder / "scans/images/benign/lost.png").symlink_to("nothing.png")


@bad("fetch scans", "data/../params.yaml: no zip or tar archive (it begins with b'study: q')")
def file_of_ones_own_that_is_no_archive(place: Place) -> None:
    place.describe(scans={"sources": [{"kind": "local", "path": "../params.yaml"}]})


@bad("fetch scans", "data/raw/scans: not empty and not fetched by this stage", "Move it away")
def folder_that_somebody_else_has_filled(place: Place) -> None:
    (place.raw / "manifest.json").unlink()


@bad("fetch scans", "data/raw/scans/manifest.json: not a record of a fetch", "Remove data/raw/scans and fetch again")
def record_of_a_fetch_that_is_broken(place: Place) -> None:
    (place.raw / "manifest.json").write_text("{")
