import gzip
import json
import os
import re
import time
from pathlib import Path

import numpy as np
import pytest

from radlib.core.errors import MissingDataError, RadlibError
from radlib.core.files import (
    atomic_path,
    check_target,
    checksums,
    only_writer,
    read_yaml,
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


def test_checksums_are_kept_by_path_size_and_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"one")
    os.utime(file, (1e9, 1e9))
    assert checksums([file]) == {file: sha256(file)}
    kept = tmp_path / "runs" / "_checksums.json"
    assert not kept.exists()  # it has changed just now, and may again
    now = time.time_ns()
    monkeypatch.setattr("time.time_ns", lambda: now + 10**10)
    assert checksums([file]) == {file: sha256(file)}
    state = [3, 10**18, file.stat().st_ctime_ns]
    assert json.loads(kept.read_text()) == {str(file): [*state, sha256(file)]}
    kept.write_text(json.dumps({str(file): [*state, "kept"]}))
    assert checksums([file]) == {file: "kept"}  # not read again
    time.sleep(0.02)
    file.write_bytes(b"two")
    os.utime(file, (1e9, 1e9))  # the same size and the same time of change, as a copy with its times has them
    assert checksums([file]) == {file: sha256(file)}
    kept.write_text("[1")
    assert checksums([file]) == {file: sha256(file)}
    with pytest.raises(MissingDataError, match="absent"):
        checksums([tmp_path / "absent"])


def test_a_key_that_is_there_twice(tmp_path: Path) -> None:
    """Of two blocks with one name YAML takes the last; the other would be lost without a word."""
    file = tmp_path / "c.yml"
    for text, says in (("a: 1\nb: 2\na: 3\n", r"'a' \(line 3\)"), ("x:\n- {k: 1, k: 2}\n", r"'k' \(line 2\)")):
        file.write_text(text)
        with pytest.raises(RadlibError, match=rf"there twice: {says}.*c\.yml.*keep one"):
            read_yaml(file, what="settings")
    file.write_text("a: {1: x, '1': y}\nb: &b {k: 1}\nc: *b\nd: {<<: *b, k: 2}\n")
    assert read_yaml(file, what="settings", aliases=True)["c"] == {"k": 1}


def test_a_folder_in_place_of_a_file(tmp_path: Path) -> None:
    with pytest.raises(RadlibError, match="this is a folder, not a file"):
        read_yaml(tmp_path, what="settings")


def test_two_writers_of_one_place(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "out")
    with only_writer(tmp_path / "out"):
        with (
            pytest.raises(RadlibError, match=r"another process is writing there.*link"),
            only_writer(tmp_path / "link"),
        ):
            pass
        with only_writer(tmp_path / "other"):
            pass
    with only_writer(tmp_path / "link"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["link"]  # nothing is left beside the files
