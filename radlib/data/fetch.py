"""Downloads of open data: checked, resumed where they broke off, whole or absent."""

from __future__ import annotations

import shutil
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from radlib.core.errors import RadlibError
from radlib.core.files import atomic_path, sha256
from radlib.core.progress import track
from radlib.data.manifests import File, Manifest, downloadable

if TYPE_CHECKING:
    import requests

Outcome = Literal["downloaded", "already there", "by hand", "not needed"]

_CHUNK = 1 << 20  # bytes
_TIMEOUT = (20.0, 60.0)  # seconds to connect, and between two packets


def fetch(manifest: Manifest, root: Path | str, *, overwrite: bool = False) -> dict[str, Outcome]:
    """Download every file of an open data set that has a confirmed address.

    Each file is written beside its place as ``.<name>.part``, checked against the manifest's SHA-256 and renamed.
    A part that an earlier call left is continued where it ended.

    Args:
        manifest: the data set.
        root: the data root; made if it does not exist.
        overwrite: replace files that are there with another checksum.

    Returns:
        what became of each path of the manifest. Files of data sets that are not open are all ``by hand``
        unless they are there; optional files, from which others are made, are ``not needed`` where those are there.

    Raises:
        RadlibError: on an error of the server, the connection, the checksum or the disk; files that were
            complete before stay.
    """
    outcomes: dict[str, Outcome] = {}
    for file in sorted(manifest.files, key=lambda file: file.optional):
        target = Path(root) / file.path
        whole = all(outcome != "by hand" for outcome in outcomes.values())
        if target.is_file() and _is_right(target, file):
            outcomes[file.path] = "already there"
        elif file.optional and whole and outcomes:
            outcomes[file.path] = "not needed"
        elif manifest.access != "open" or not downloadable(file):
            outcomes[file.path] = "by hand"
        else:
            if target.exists() and not overwrite:
                raise RadlibError(
                    "a file with another checksum is there",
                    file=target,
                    remedy="move it away, or replace it with --overwrite",
                )
            _fetch_file(file, target)
            outcomes[file.path] = "downloaded"
    return outcomes


def _is_right(target: Path, file: File) -> bool:
    return file.sha256 is None or sha256(target) == file.sha256


def _fetch_file(file: File, target: Path) -> None:
    assert file.address is not None
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _download(file.address.url, part, target.name)
        if file.member is None:
            _check_sum(part, file, target)
            part.replace(target)
        else:
            with atomic_path(target) as extracted:
                _extract_member(part, file.member, extracted)
                _check_sum(extracted, file, target)
            part.unlink()
    except OSError as error:
        raise RadlibError(
            f"cannot write: {error.strerror or error}",
            file=part,
            remedy="make room or give another folder with --root, then run again: the download continues",
        ) from error


def _download(url: str, part: Path, name: str) -> None:
    import requests

    done = part.stat().st_size if part.exists() else 0
    with _ask(url, done) as response:
        if response.status_code == requests.codes.requested_range_not_satisfiable and done:
            return  # nothing is left to send; the checksum decides
        if not response.ok:
            raise RadlibError(
                f"{url} answers {response.status_code} {response.reason}",
                remedy="try again later; if it stays, obtain the file by hand (radlib data show)",
            )
        left = int(response.headers.get("Content-Length", 0))
        free = shutil.disk_usage(part.parent).free
        if left > free:
            raise RadlibError(
                f"{left} bytes are to come and {free} are free",
                file=part,
                remedy="make room or give another folder with --root",
            )
        continued = response.status_code == requests.codes.partial_content
        chunks = track(response.iter_content(_CHUNK), description=f"{name} (MiB)", total=-(-left // _CHUNK) or None)
        try:
            with part.open("ab" if continued else "wb") as stream:
                for chunk in chunks:
                    stream.write(chunk)
        except requests.RequestException as error:
            raise RadlibError(
                f"the download of {url} broke off after {part.stat().st_size} bytes: {type(error).__name__}",
                file=part,
                remedy="run again: it continues where it broke off",
            ) from error


def _ask(url: str, done: int) -> requests.Response:
    """The server's answer to a request for what follows the first ``done`` bytes; its body is not read yet."""
    import requests

    headers = {"Accept-Encoding": "identity"}  # ranges count the bytes of the file, not of a compressed form
    if done:
        headers["Range"] = f"bytes={done}-"
    try:
        response = requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT)
    except requests.RequestException as error:
        raise RadlibError(
            f"{url} cannot be reached: {type(error).__name__}",
            remedy="check the connection (and HTTPS_PROXY), or obtain the file by hand (radlib data show)",
        ) from error
    _check_origin(response)
    return response


def _check_origin(response: requests.Response) -> None:
    """No redirect leads from a protected to an unprotected connection."""
    for hop in response.history:
        if urlsplit(hop.url).scheme == "https" and urlsplit(response.url).scheme != "https":
            raise RadlibError(
                f"{hop.url} redirects to {response.url}, which is not protected",
                remedy="obtain the file by hand (radlib data show)",
            )


def _check_sum(path: Path, file: File, target: Path) -> None:
    digest = sha256(path)
    if digest != file.sha256:
        path.unlink()
        raise RadlibError(
            f"the download has SHA-256 {digest}, the manifest says {file.sha256}",
            file=target,
            remedy="run again; if it stays, the publisher has changed the file: compare with the manifest's version",
        )


def _extract_member(archive: Path, member: str, target: Path) -> None:
    """Copy one member, named by the manifest. No path in the archive is ever used as a path on disk."""
    try:
        with zipfile.ZipFile(archive) as content, content.open(member) as source, target.open("wb") as sink:
            shutil.copyfileobj(source, sink)
    except (zipfile.BadZipFile, KeyError) as error:
        archive.unlink()
        raise RadlibError(f"no archive with a member {member!r}: {error}", file=archive, remedy="run again") from error
