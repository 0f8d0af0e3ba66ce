"""``data fetch`` against a server on this machine."""

from __future__ import annotations

import hashlib
import http.server
import io
import resource
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from radlib.core.errors import RadlibError
from radlib.data.fetch import _check_origin, fetch
from radlib.data.manifests import Manifest, load_manifest

CONTENT = bytes(range(256)) * 12_000  # 3 MB


@dataclass
class Server:
    """What the server sends, and what it was asked for."""

    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    ranges: bool = True  # whether it honours Range
    stop_after: int | None = None  # bytes of the body, then the connection ends
    requests: list[tuple[str, str | None]] = field(default_factory=list)
    address: str = ""


@pytest.fixture
def server() -> Iterator[Server]:
    state = Server(files={"/table.csv": CONTENT})

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers.get("Range")
            state.requests.append((self.path, asked))
            if self.path in state.redirects:
                self.send_response(302)
                self.send_header("Location", state.redirects[self.path])
                self.end_headers()
                return
            if self.path not in state.files:
                self.send_error(404)
                return
            body = state.files[self.path]
            start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and state.ranges else 0
            if start >= len(body) > 0:
                self.send_error(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            self.send_header("Content-Length", str(len(body) - start))
            self.end_headers()
            end = len(body) if state.stop_after is None else min(len(body), start + state.stop_after)
            self.wfile.write(body[start:end])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as daemon:
        state.address = f"http://127.0.0.1:{daemon.server_port}"
        thread = threading.Thread(target=daemon.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield state
        daemon.shutdown()
        thread.join()


def manifest(server: Server, *, url: str = "/table.csv", sha256: str | None = None, **file: object) -> Manifest:
    digest = sha256 or hashlib.sha256(CONTENT).hexdigest()
    address = {"url": server.address + url, "what": "file", "verified": True, "confirmed_by": "this test"}
    return Manifest.model_validate(
        {
            "name": "example",
            "title": "Example",
            "description": "An example.",
            "version": "1",
            "doi": "10.1000/example",
            "access": "open",
            "licence": "none",
            "terms": "none",
            "citation": "none",
            "layout": "none",
            "files": [{"path": "a/table.csv", "what": "table", "sha256": digest, "address": address} | file],
        }
    )


def part(root: Path) -> Path:
    return root / "a/.table.csv.part"


def test_a_file_is_downloaded_checked_and_not_fetched_again(server: Server, tmp_path: Path) -> None:
    example = manifest(server)
    assert fetch(example, tmp_path) == {"a/table.csv": "downloaded"}
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["table.csv"]
    assert fetch(example, tmp_path) == {"a/table.csv": "already there"}
    assert server.requests == [("/table.csv", None)]


def test_a_download_that_broke_off_continues(server: Server, tmp_path: Path) -> None:
    server.stop_after = 1_500_000
    with pytest.raises(RadlibError, match=r"broke off after \d+ bytes.*continues") as caught:
        fetch(manifest(server), tmp_path)
    assert caught.value.file == part(tmp_path)
    done = part(tmp_path).stat().st_size
    assert 0 < done <= 1_500_000
    assert not (tmp_path / "a/table.csv").exists()
    server.stop_after = None
    fetch(manifest(server), tmp_path)
    assert server.requests[1] == ("/table.csv", f"bytes={done}-")
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT


def test_a_server_without_ranges_sends_everything_again(server: Server, tmp_path: Path) -> None:
    server.ranges = False
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(CONTENT[:1000])
    fetch(manifest(server), tmp_path)
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT


def test_a_part_that_was_complete_is_only_checked(server: Server, tmp_path: Path) -> None:
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(CONTENT)
    fetch(manifest(server), tmp_path)
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT


def test_a_wrong_checksum_leaves_nothing(server: Server, tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=f"SHA-256 {hashlib.sha256(CONTENT).hexdigest()}.*says {'0' * 64}"):
        fetch(manifest(server, sha256="0" * 64), tmp_path)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_part_of_another_version_is_thrown_away(server: Server, tmp_path: Path) -> None:
    part(tmp_path).parent.mkdir()
    part(tmp_path).write_bytes(b"x" * 1000)
    with pytest.raises(RadlibError, match="SHA-256"):
        fetch(manifest(server), tmp_path)
    fetch(manifest(server), tmp_path)
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT


def test_redirects_are_followed(server: Server, tmp_path: Path) -> None:
    server.redirects["/old.csv"] = "/middle.csv"
    server.redirects["/middle.csv"] = server.address + "/table.csv"
    fetch(manifest(server, url="/old.csv"), tmp_path)
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT


def test_a_redirect_in_a_circle(server: Server, tmp_path: Path) -> None:
    server.redirects["/table.csv"] = "/table.csv"
    with pytest.raises(RadlibError, match="cannot be reached: TooManyRedirects"):
        fetch(manifest(server), tmp_path)


def test_not_found(server: Server, tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match=r"/gone.csv answers 404 Not Found.*by hand"):
        fetch(manifest(server, url="/gone.csv"), tmp_path)
    assert list((tmp_path / "a").iterdir()) == []


def test_no_server(server: Server, tmp_path: Path) -> None:
    server.address = "http://127.0.0.1:9"
    with pytest.raises(RadlibError, match="cannot be reached: ConnectionError"):
        fetch(manifest(server), tmp_path)


def test_a_disk_that_fills_up_keeps_the_part(server: Server, tmp_path: Path) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, hard))  # the system refuses to write more to a file
    try:
        with pytest.raises(RadlibError, match=r"cannot write: File too large.*make room.*continues"):
            fetch(manifest(server), tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not (tmp_path / "a/table.csv").exists()
    assert part(tmp_path).stat().st_size > 0
    fetch(manifest(server), tmp_path)
    assert (tmp_path / "a/table.csv").read_bytes() == CONTENT


def test_a_file_too_large_for_the_disk_is_not_begun(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: type("Usage", (), {"free": 1000})())
    with pytest.raises(RadlibError, match=f"{len(CONTENT)} bytes are to come and 1000 are free"):
        fetch(manifest(server), tmp_path)
    assert not part(tmp_path).exists()


def test_a_folder_that_cannot_be_made(server: Server, tmp_path: Path) -> None:
    (tmp_path / "a").write_text("a file in the way")
    with pytest.raises(RadlibError, match="cannot write"):
        fetch(manifest(server), tmp_path)


def test_another_file_in_the_place_is_kept_unless_asked(server: Server, tmp_path: Path) -> None:
    target = tmp_path / "a/table.csv"
    target.parent.mkdir()
    target.write_text("mine")
    with pytest.raises(RadlibError, match=r"another checksum is there.*--overwrite"):
        fetch(manifest(server), tmp_path)
    assert target.read_text() == "mine"
    server.stop_after = 1000
    with pytest.raises(RadlibError, match="broke off"):
        fetch(manifest(server), tmp_path, overwrite=True)
    assert target.read_text() == "mine"
    server.stop_after = None
    assert fetch(manifest(server), tmp_path, overwrite=True) == {"a/table.csv": "downloaded"}
    assert target.read_bytes() == CONTENT


def archive(**members: bytes) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as content:
        content.writestr("../../escaped.txt", "outside")
        for name, value in members.items():
            content.writestr(name.replace("_", "."), value)
    return buffer.getvalue()


def test_a_member_of_an_archive(server: Server, tmp_path: Path) -> None:
    server.files["/data.zip"] = archive(table_csv=CONTENT)
    root = tmp_path / "x" / "y"
    fetch(manifest(server, url="/data.zip", member="table.csv"), root)
    files = [path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file()]
    assert files == ["x/y/a/table.csv"], "nothing but the member is written, wherever the archive points"
    assert (root / "a/table.csv").read_bytes() == CONTENT


@pytest.mark.parametrize("content", [archive(other_csv=CONTENT), b"no archive"])
def test_an_archive_without_the_member(content: bytes, server: Server, tmp_path: Path) -> None:
    server.files["/data.zip"] = content
    with pytest.raises(RadlibError, match=r"no archive with a member 'table\.csv'"):
        fetch(manifest(server, url="/data.zip", member="table.csv"), tmp_path)
    assert list((tmp_path / "a").iterdir()) == []


def test_a_member_with_another_checksum(server: Server, tmp_path: Path) -> None:
    server.files["/data.zip"] = archive(table_csv=b"another version")
    with pytest.raises(RadlibError, match="the manifest says"):
        fetch(manifest(server, url="/data.zip", member="table.csv"), tmp_path)
    assert not (tmp_path / "a/table.csv").exists()


def test_what_is_not_open_or_not_confirmed_is_left_to_a_person(server: Server, tmp_path: Path) -> None:
    example = manifest(server)
    closed = example.model_copy(update={"access": "registration"})
    assert fetch(closed, tmp_path) == {"a/table.csv": "by hand"}
    address = example.files[0].address
    assert address is not None
    unsure = example.files[0].model_copy(update={"address": address.model_copy(update={"verified": False})})
    assert fetch(example.model_copy(update={"files": (unsure,)}), tmp_path) == {"a/table.csv": "by hand"}
    assert server.requests == []


def test_optional_files_are_fetched_where_others_must_be_made_from_them(server: Server, tmp_path: Path) -> None:
    example = manifest(server, path="a/source.xlsx", optional=True)
    made = example.files[0].model_copy(update={"path": "a/table.csv", "address": None, "optional": False})
    example = example.model_copy(update={"files": (example.files[0], made)})
    assert fetch(example, tmp_path) == {"a/table.csv": "by hand", "a/source.xlsx": "downloaded"}
    (tmp_path / "a/source.xlsx").rename(tmp_path / "a/table.csv")
    assert fetch(example, tmp_path) == {"a/table.csv": "already there", "a/source.xlsx": "not needed"}


@pytest.mark.parametrize(("last", "refused"), [("http://example.org/x", True), ("https://example.org/x", False)])
def test_no_redirect_gives_up_protection(last: str, refused: bool) -> None:
    hop, response = requests.Response(), requests.Response()
    hop.url, response.url, response.history = "https://example.org/a", last, [hop]
    if refused:
        with pytest.raises(RadlibError, match="not protected"):
            _check_origin(response)
    else:
        _check_origin(response)


@pytest.mark.data
def test_real_tables_that_are_there_are_recognised(real_data: Path) -> None:
    outcomes = fetch(load_manifest("tcga-gbm-expression"), real_data)
    assert set(outcomes.values()) == {"already there"}
