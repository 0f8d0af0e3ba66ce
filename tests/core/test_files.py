import gzip
import json
import os
import re
from pathlib import Path

import numpy as np
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import (
    atomic_path,
    check_target,
    checksums,
    sha256,
    write_json,
    write_text,
    write_text_if_changed,
)


def test_target_appears_whole_or_not_at_all(tmp_path: Path) -> None:
    target = tmp_path / "deep" / "x.nii.gz"
    with pytest.raises(RuntimeError), atomic_path(target) as temporary:
        assert temporary.name.endswith(".nii.gz")
        temporary.write_bytes(b"half")
        raise RuntimeError
    assert list(target.parent.iterdir()) == []
    with atomic_path(target) as temporary:
        temporary.write_bytes(gzip.compress(b"whole"))
    assert gzip.decompress(target.read_bytes()) == b"whole"


def test_an_error_keeps_the_old_file(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    write_text(target, "old")
    with pytest.raises(OSError, match="full"), atomic_path(target) as temporary:
        temporary.write_text("new")
        raise OSError("disk full")
    assert target.read_text() == "old"
    assert list(tmp_path.iterdir()) == [target]


def test_a_place_that_cannot_be_written_is_named_once(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    (tmp_path / "linked").symlink_to(tmp_path / "file")
    for target, says, options in (
        (tmp_path, "this is a folder", {}), (tmp_path / "file", "this is a file", {"folder": True}),
        (tmp_path / "file" / "x", "is a file", {}),
        (tmp_path / "linked", "would overwrite", {"inputs": [tmp_path / "file"]}),
    ):  # fmt: skip
        with pytest.raises(RadlibError, match=f"^[^.]*{says}.*File: {re.escape(str(target))}") as raised:
            check_target(target, **options)
        assert str(raised.value).count("Remedy") == 1


def test_json_is_plain(tmp_path: Path) -> None:
    value = {"b": np.float64(0.5), "a": [np.int64(3), float("nan"), float("inf")], "p": Path("x")}
    write_json(tmp_path / "x.json", value)
    assert json.loads((tmp_path / "x.json").read_text()) == {"a": [3, None, None], "b": 0.5, "p": "x"}


def test_unchanged_text_keeps_its_time(tmp_path: Path) -> None:
    target = tmp_path / "x.txt"
    assert write_text_if_changed(target, "a")
    before = target.stat().st_mtime_ns
    assert not write_text_if_changed(target, "a")
    assert target.stat().st_mtime_ns == before
    assert write_text_if_changed(target, "b")


def test_sha256_of_the_empty_file(tmp_path: Path) -> None:
    (tmp_path / "x").touch()
    assert sha256(tmp_path / "x") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"


def test_checksums_are_kept_by_path_size_and_time(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"one")
    os.utime(file, (1e9, 1e9))
    assert checksums([file]) == {file: sha256(file)}
    kept = tmp_path / "runs" / "_checksums.json"
    stored = json.loads(kept.read_text())
    assert stored == {str(file): [3, 10**18, sha256(file)]}
    kept.write_text(json.dumps({str(file): [3, 10**18, "kept"]}))
    assert checksums([file]) == {file: "kept"}  # not read again
    file.write_bytes(b"two")  # the same size, another time
    assert checksums([file]) == {file: sha256(file)}
    assert json.loads(kept.read_text())[str(file)][2] == "kept"  # it has changed just now, and may again
    kept.write_text("[1")
    assert checksums([file]) == {file: sha256(file)}
    with pytest.raises(MissingDataError, match="absent"):
        checksums([tmp_path / "absent"])
