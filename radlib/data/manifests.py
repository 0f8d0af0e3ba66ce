"""What each data set is, where a person obtains it, and how it lies on disk.

One YAML file a data set in ``data_manifests/datasets``; one schema, this module. A manifest states facts that were
looked up: an address that no documentation confirms says ``verified: false``, and nothing downloads from it.
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, ValidationError, model_validator

from radlib.core.errors import RadlibError, problems_of
from radlib.core.files import read_yaml
from radlib.core.models import Strict
from radlib.core.paths import manifests_dir

Access = Literal["open", "registration", "private"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def _web_address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme == "https" and parts.hostname:
        return url
    if parts.scheme == "http" and parts.hostname in _LOOPBACK:
        return url
    raise ValueError(f"{url!r} is not an https address")


def _relative_path(path: str) -> str:
    if path.startswith(("/", "~")) or "\\" in path or ".." in path.split("/") or ":" in path:
        raise ValueError(f"{path!r} is not a path below the data root, with forward slashes")
    return path


def _regular_expression(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is not a regular expression: {error}") from None
    return pattern


Url = Annotated[str, AfterValidator(_web_address)]
RelativePath = Annotated[str, AfterValidator(_relative_path)]
Pattern = Annotated[str, AfterValidator(_regular_expression)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Address(Strict):
    """An address on the web, and whether documentation confirms it."""

    url: Url
    what: str
    verified: bool
    confirmed_by: str | None = None  # what says so; required where verified

    @model_validator(mode="after")
    def _evidence(self) -> Address:
        if self.verified and not self.confirmed_by:
            raise ValueError(f"{self.url} is marked verified: say in confirmed_by what confirms it")
        return self


class Column(Strict):
    """A column, or with ``pattern`` a family of columns, of a table."""

    name: str | None = None
    pattern: Pattern | None = None  # matches the whole name
    count: int | None = None  # how many columns the pattern matches
    type: Literal["id", "number", "integer", "category", "date", "text"]
    unit: str | None = None
    values: tuple[str, ...] | None = None  # of a category
    low: float | None = None
    high: float | None = None
    meaning: str

    @model_validator(mode="after")
    def _one_way_to_match(self) -> Column:
        if (self.name is None) == (self.pattern is None):
            raise ValueError("a column has either a name or a pattern")
        if (self.type == "category") != (self.values is not None):
            raise ValueError(f"column {self.name or self.pattern}: values belong to a category, and only there")
        return self

    def matches(self, header: str) -> bool:
        """Whether a header field (without surrounding space) is of this column."""
        if self.name is not None:
            return header == self.name
        assert self.pattern is not None
        return re.fullmatch(self.pattern, header) is not None


class Known(Strict):
    """A blemish of the published table: found as described, it is a note and not an error."""

    kind: str
    columns: Pattern | None = None  # matches the whole name; empty: any column
    count: int | None = None  # cells (for constant columns: columns); empty: any number
    note: str


class Table(Strict):
    """How a table is written and what it must hold."""

    format: Literal["csv", "tsv", "excel"]
    rows: int  # of data
    fields: int  # in the header
    key: tuple[str, ...] = ()  # the columns that together identify a row
    row_names: bool = False  # each row begins with a name that the header lacks, as R writes tables
    skip: tuple[str, ...] = ()  # rows that are no data, by their first field
    na: tuple[str, ...] = ("", "NA", "NaN")  # what stands for a missing value, without surrounding space
    columns: tuple[Column, ...]
    known: tuple[Known, ...] = ()


class File(Strict):
    """One file of a data set, below the data root."""

    path: RelativePath
    what: str
    sha256: Sha256 | None = None
    address: Address | None = None
    member: str | None = None  # the address is a zip archive and this is its member
    optional: bool = False
    table: Table | None = None

    @model_validator(mode="after")
    def _can_be_trusted(self) -> File:
        if self.address is not None and self.address.verified and self.sha256 is None:
            raise ValueError(f"{self.path}: a file that can be downloaded needs its sha256")
        if self.member is not None and self.address is None:
            raise ValueError(f"{self.path}: member names a part of an archive, but there is no address")
        return self


class Image(Strict):
    """One image a subject has."""

    file: Pattern  # stands for {image} in the templates
    meaning: str
    labels: dict[int, str] | None = None  # of a label map: every value that may occur
    optional: bool = False


class Images(Strict):
    """How the images of a data set lie on disk.

    ``templates`` are regular expressions of the path below the image folder, in which ``{subject}`` and ``{image}``
    stand for the subject and the image's ``file``; a second ``{subject}`` must equal the first.
    """

    folders: tuple[RelativePath, ...]  # where the image folder may lie below the data root
    subject: Pattern
    templates: tuple[str, ...]
    images: dict[str, Image]
    example: str
    subjects: int | None = None
    shape: tuple[int, int, int] | None = None  # voxels
    spacing: tuple[float, float, float] | None = None  # mm
    same_grid: bool = True  # the images of a subject share shape and affine
    slices: bool = False  # pictures, one file a slice; the images are named slice and mask
    ignore: tuple[str, ...] = ()  # patterns of file names that may lie among the images

    @model_validator(mode="after")
    def _templates_compile(self) -> Images:
        for name in self.images:
            for template in self.expressions(name):
                if "subject" not in template.groupindex:
                    raise ValueError(f"template {template.pattern!r} does not hold {{subject}}")
        return self

    def expressions(self, image: str) -> list[re.Pattern[str]]:
        """The compiled templates of one image; each has a group ``subject``."""
        return [
            re.compile(
                template.replace("{subject}", f"(?P<subject>{self.subject})", 1)
                .replace("{subject}", "(?P=subject)")
                .replace("{image}", f"(?:{self.images[image].file})")
            )
            for template in self.templates
        ]


class Manifest(Strict):
    """One data set."""

    name: Annotated[str, Field(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$")]
    title: str
    papers: tuple[str, ...] = ()  # keys of the papers that use it
    description: str
    version: str
    doi: Annotated[str, Field(pattern=r"^10\.\d{4,9}/\S+$")] | None = None
    addresses: tuple[Address, ...] = ()
    access: Access
    licence: str
    terms: str
    citation: str
    layout: str
    files: tuple[File, ...] = ()
    images: Images | None = None
    overlaps: tuple[str, ...] = ()  # data sets that hold some of the same subjects
    steps: tuple[str, ...] = ()  # what a person does to obtain it

    @model_validator(mode="after")
    def _complete(self) -> Manifest:
        if self.doi is None and not self.addresses and self.access != "private":
            raise ValueError("a data set that is not private has a DOI or an address")
        fetched = all(file.optional or downloadable(file) for file in self.files) and self.images is None
        if not self.steps and not (self.access == "open" and fetched and self.files):
            raise ValueError("state in steps what a person does to obtain what cannot be downloaded")
        paths = [file.path for file in self.files]
        if len(paths) != len(set(paths)):
            raise ValueError("two files have the same path")
        return self

    def file(self, path: str) -> File:
        """The file at ``path``, or the only one whose path ends in ``/path``.

        Raises:
            RadlibError: if there is none, or more than one.
        """
        found = [file for file in self.files if file.path == path or file.path.endswith("/" + path)]
        if len(found) != 1:
            raise RadlibError(
                f"data set {self.name!r} has {len(found)} files named {path!r}",
                remedy=f"name one of: {', '.join(file.path for file in self.files) or 'none are listed'}",
            )
        return found[0]


def downloadable(file: File) -> bool:
    """Whether the file has an address that documentation confirms."""
    return file.address is not None and file.address.verified


def datasets_dir() -> Path:
    """``data_manifests/datasets`` of the checkout."""
    return manifests_dir() / "datasets"


def manifest_names() -> list[str]:
    """The names of all data sets, sorted."""
    return sorted(path.stem for path in datasets_dir().glob("*.yml"))


def read_manifest(path: Path | str) -> Manifest:
    """Read and check one manifest.

    Raises:
        RadlibError: naming the file and every field that does not fit the schema.
    """
    path = Path(path)
    try:
        manifest = Manifest.model_validate(read_yaml(path, what="a data set", aliases=True))
    except ValidationError as error:
        raise RadlibError(
            f"does not fit the schema of data sets: {problems_of(error)}",
            file=path,
            remedy="correct the fields named; radlib.data.manifests describes them",
        ) from None
    if manifest.name != path.stem:
        raise RadlibError(
            f"the data set is named {manifest.name!r}", file=path, remedy="give file and data set the same name"
        )
    return manifest


@cache
def _load(path: Path) -> Manifest:
    return read_manifest(path)


def load_manifest(name: str) -> Manifest:
    """The manifest of a data set.

    Raises:
        RadlibError: if there is no such data set; the message lists those there are.
    """
    if name not in manifest_names():
        raise RadlibError(f"there is no data set {name!r}", remedy=f"choose one of: {', '.join(manifest_names())}")
    return _load(datasets_dir() / f"{name}.yml")


def load_manifests() -> list[Manifest]:
    """All manifests, sorted by name."""
    return [load_manifest(name) for name in manifest_names()]
