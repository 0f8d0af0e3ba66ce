"""Files that are either whole or absent."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.paths import runs_root


@contextmanager
def atomic_path(target: Path | str) -> Iterator[Path]:
    """A temporary path beside ``target`` that becomes ``target`` when the block ends without an error.

    The temporary name keeps the suffixes of the target (``.nii.gz``, ``.parquet``), because writers look at them.
    On an error the temporary file is removed and an existing target stays as it was.
    """
    target = Path(target)
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=target.parent, prefix=".part-", suffix="".join(target.suffixes) or ".tmp")
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)  # mkstemp makes files private
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def part_of_a_path(name: str, *, what: str = "the name") -> str:
    """The name of a file or folder below another one, as it was given.

    Raises:
        RadlibError: if it is empty, too long, or would lead elsewhere (``a/b``, ``..``).
    """
    if not name.strip() or name in (".", "..") or set(name) & set("/\\\0") or len(name.encode()) > 200:
        raise RadlibError(
            f"{what} {name[:80]!r} cannot be the name of a file",
            remedy="use a name without / and \\, of at most 200 bytes, other than `.` and `..`",
        )
    return name


def check_target(target: Path | str, *, inputs: Iterable[Path | str] = (), folder: bool = False) -> Path:
    """Refuse a place that cannot be written, before hours are spent on what would go there.

    Args:
        target: the file to be written, or with ``folder`` the folder.
        inputs: files that are read; the target may be none of them, through links neither.

    Raises:
        RadlibError: naming the target and why.
    """
    target = Path(target)
    try:
        if target.exists() and target.is_dir() is not folder:
            raise RadlibError(
                f"this is a {'file' if folder else 'folder'}", file=target,
                remedy=f"name a {'folder' if folder else 'file'} to write",
            )  # fmt: skip
        home = next(place for place in (target.absolute(), *target.absolute().parents) if place.exists())
        home = home if home.is_dir() or home != target.absolute() else home.parent
        if not home.is_dir():
            raise NotADirectoryError(errno.ENOTDIR, f"{home} is a file")
        if any(len(part.encode()) > 255 for part in target.parts):
            raise OSError(errno.ENAMETOOLONG, os.strerror(errno.ENAMETOOLONG))
        if not os.access(home, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        taken = [path for path in inputs if target.exists() and Path(path).exists() and target.samefile(path)]
    except RadlibError:
        raise
    except (OSError, ValueError) as error:  # a file among the parents, too long a name, a character 0
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise RadlibError(f"it cannot be written there: {reason}", file=target, remedy="name another place") from error
    if taken:
        raise RadlibError(
            f"writing here would overwrite {taken[0]}, which is read", file=target, remedy="name another place"
        )
    return target


@contextmanager
def only_writer(target: Path | str) -> Iterator[None]:
    """Hold a place against other processes of this user on this machine, which would mix their work with this one's.

    Args:
        target: the file or folder to be written; it need not exist, and no lock is left beside it.

    Raises:
        RadlibError: if another process holds it.
    """
    from filelock import FileLock, Timeout

    place = hashlib.sha256(os.path.realpath(target).encode("utf-8", "surrogateescape")).hexdigest()[:24]
    user = getattr(os, "getuid", lambda: 0)()
    lock = FileLock(Path(tempfile.gettempdir()) / f"radlib-{user}-{place}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise RadlibError(
            "another process is writing there", file=target, remedy="wait for it, or name another place"
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def reading(path: Path | str, *, remedy: str = "make the file again") -> Iterator[None]:
    """Whatever a library raises while it reads a damaged file becomes an error that names the file.

    Raises:
        MissingDataError: if the file does not exist.
        RadlibError: if the block raises anything else.
    """
    try:
        yield
    except (RadlibError, MemoryError):
        raise
    except FileNotFoundError as error:
        raise MissingDataError("the file does not exist", file=error.filename or path, remedy=remedy) from error
    except IsADirectoryError as error:
        raise RadlibError("this is a folder, not a file", file=error.filename or path, remedy=remedy) from error
    except Exception as error:
        reason = " ".join(str(error).split())[:200]
        raise RadlibError(
            f"the file is damaged, or not what it should be ({type(error).__name__}: {reason})",
            file=path,
            remedy=remedy,
        ) from error


def read_json(path: Path | str, *, remedy: str = "make the file again") -> Any:
    """The content of a JSON file; raises as :func:`reading`."""
    with reading(path, remedy=remedy):
        return json.loads(Path(path).read_text(encoding="utf-8"))


def read_yaml(path: Path | str, *, what: str, aliases: bool = False) -> dict[str, Any]:
    """The mapping in a YAML file that a person has written.

    Args:
        path: the file.
        what: what it should hold, for the errors: ``a cohort description``.
        aliases: allow ``*name``; a few of them can stand for billions of values.

    Raises:
        MissingDataError: if there is no file.
        RadlibError: if it is not UTF-8, no YAML, no mapping, has a key twice, or aliases that are not allowed.
    """
    import yaml

    try:  # libyaml's is ten times as fast, where it was compiled
        from yaml import CSafeLoader as SafeLoader
    except ImportError:
        from yaml import SafeLoader  # type: ignore[assignment]
    remedy = f"give a YAML file in UTF-8 with {what}"
    with reading(path, remedy=remedy):
        content = Path(path).read_bytes()
    try:
        text = content.decode("utf-8-sig")
        if not aliases and any(isinstance(e, yaml.AliasEvent) for e in yaml.parse(text, Loader=SafeLoader)):
            raise RadlibError("the file has an alias (*name)", file=path, remedy="write out what it stands for")
        loader = SafeLoader(text)
        root = loader.get_single_node()
        if twice := next(_twice(root, set()), None):  # the last one would win, and the others be lost without a word
            raise RadlibError(f"there twice: {twice}", file=path, remedy="keep one of them")
        value = None if root is None else loader.construct_document(root)
    except UnicodeDecodeError as error:
        raise RadlibError("the text is not in UTF-8", file=path, remedy="save it as UTF-8") from error
    except RadlibError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = " ".join(str(error).replace("<unicode string>", "the file").split())[:300]
        raise RadlibError(f"not YAML: {reason}", file=path, remedy="mend the syntax") from error
    if not isinstance(value, dict):
        raise RadlibError("the file holds no `key: value`", file=path, remedy=remedy)
    if r"\x00" in repr(value):
        raise RadlibError("a value holds the character 0", file=path, remedy="take it out")
    return value


def _twice(node: Any, seen: set[int]) -> Iterator[str]:
    """The keys that a mapping of a YAML file, or one inside it, has more than once, with the line of the last."""
    import yaml

    if node is None or id(node) in seen:  # an alias is the node that it stands for
        return
    seen.add(id(node))
    if isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _twice(item, seen)
    if isinstance(node, yaml.MappingNode):
        keys: set[tuple[str, str]] = set()
        for key, value in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value != "<<":
                if (key.tag, key.value) in keys:
                    yield f"{key.value!r} (line {key.start_mark.line + 1})"
                keys.add((key.tag, key.value))
            yield from _twice(value, seen)


def write_text(path: Path | str, text: str) -> None:
    """Write UTF-8 text atomically."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_text_if_changed(path: Path | str, text: str) -> bool:
    """Write only where the content differs, so that the modification time means something. True if written."""
    path = Path(path)
    if path.exists() and path.read_text(encoding="utf-8") == text:
        return False
    write_text(path, text)
    return True


def write_json(path: Path | str, value: Any) -> None:
    """Write JSON atomically: sorted keys, two-space indent, NaN and infinity as null."""
    write_text(path, json.dumps(_finite(value), indent=2, sort_keys=True, ensure_ascii=False) + "\n")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(item) for item in value]
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:  # NumPy and torch scalars
        value = value.item()
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    if isinstance(value, Path):
        return str(value)
    return value


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def checksums(paths: Iterable[Path | str]) -> dict[Path, str]:
    """The SHA-256 of every file, by path; a file that has not changed since is not read again.

    What was found is kept in ``_checksums.json`` of the folder of runs, by path, size and times of change: of the
    content, which copying may bring along, and of the file itself. A file that changed within the last two seconds is
    not kept: it could change again within the clock's resolution.

    Raises:
        MissingDataError: if a file does not exist.
    """
    cache = runs_root() / "_checksums.json"
    known, new, found = _kept_checksums(cache), {}, {}
    for path in map(Path, paths):
        place = str(path.resolve())
        with reading(path, remedy="check the path"):
            status = os.stat(path)
            state = [status.st_size, status.st_mtime_ns, status.st_ctime_ns]
            before = known.get(place)
            if isinstance(before, list) and before[:-1] == state:
                found[path] = str(before[-1])
                continue
            found[path] = sha256(path)
        if abs(time.time_ns() - max(state[1:])) > 2e9:
            new[place] = [*state, found[path]]
    if new:
        with suppress(OSError):  # a folder that may not be written: read again next time
            write_json(cache, _kept_checksums(cache) | new)  # what another process has added meanwhile stays
    return found


def _kept_checksums(cache: Path) -> dict[str, Any]:
    try:
        kept = json.loads(cache.read_text(encoding="utf-8"))
    except (OSError, ValueError):  # not there yet, or damaged: it is only a cache
        return {}
    return kept if isinstance(kept, dict) else {}
