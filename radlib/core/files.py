"""Files that are either whole or absent."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from radlib.core.errors import MissingDataError, RadlibError


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
