"""The headline claims of the five papers: the contrasts that decide them, and the word that each has earned.

The section ``claims`` of a paper's manifest declares, for every claim, the paired contrasts of the chapters' studies
that decide it. Here they are taken from results that are there (computed in ``runs/_jobs`` or kept), of the default
profile (:mod:`radlib.study.contrasts`). Nothing is trained: a claim whose jobs lack is *not computed yet*.
What was decided on real patients is kept in ``published/real/default/claims.json``, as their jobs never are.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from radlib.core.errors import RadlibError, first_problem
from radlib.core.files import write_json
from radlib.core.models import Strict
from radlib.core.paths import manifests_dir, project_root
from radlib.data.published import Likeness, load_all, load_paper, published_values
from radlib.study import contrasts
from radlib.study.contrasts import Contrast, Decision
from radlib.study.studies import Study

PROFILE = "default"
"""The profile whose jobs decide."""


class Kept(Strict):
    """A number of a kept run on real data, or of a claim's decision, or a printed one.

    Attributes:
        chapter, table, column, where: the one row of a table; without ``table`` of the measured values.
        named: a named value of the chapter, in place of a row.
        claim: of whose first contrast on simulated patients ``column`` is an attribute (:class:`Decision`).
        published: the key of a printed entry.
    """

    chapter: str = ""
    table: str = ""
    column: str = "value"
    where: dict[str, str] = Field(default_factory=dict)
    named: str = ""
    claim: str = ""
    published: str = ""
    scale: float = 1.0
    digits: int = 0


class Finding(Strict):
    """A sentence with numbers of results, in braces by name, and the kind of evidence that it is.

    ``first`` puts it on the front page before findings of the paper's other claims.
    """

    kind: Literal["simulated", "analogous", "same"]
    text: str
    numbers: dict[str, Kept]
    first: bool = False


class Claim(Strict):
    """A headline claim of a paper, in our words.

    Attributes:
        name: slug, unique within the paper.
        short: two to five words, for a table's line.
        keys: the printed entries that bear it, without the paper's name.
        printed: pairs of entries whose printed difference, first minus second, is the paper's own contrast.
        positives: patients of the class that is looked for, where the pairs are areas under ROC curves.
        heading: under which the chapter of its first contrast shows it.
        decided: the contrasts, all of which it asserts.
        settle: what would settle it on real patients.
        findings: sentences for the front page, the strongest first; the first whose numbers are there is taken.
    """

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]+$")]
    says: str
    short: str
    keys: tuple[str, ...] = Field(min_length=1)
    printed: tuple[tuple[str, str], ...] = ()
    positives: int | None = None
    heading: str
    decided: tuple[Contrast, ...] = Field(min_length=1)
    settle: str
    findings: tuple[Finding, ...] = ()
    paper: str = ""


@functools.cache
def claims() -> dict[str, Claim]:
    """Every claim by ``<paper>.<name>``, in the order of the book.

    Raises:
        RadlibError: if a declaration does not follow the schema, a name stands twice or a key is no entry.
    """
    found: dict[str, Claim] = {}
    for paper in load_all().values():
        file = manifests_dir() / "papers" / f"{paper.key}.yml"
        for raw in paper.claims:
            try:
                one = Claim.model_validate(raw | {"paper": paper.key})
            except ValidationError as error:
                raise RadlibError(f"claim {raw.get('name')!r}: {first_problem(error)}", file=file,
                                  remedy="follow radlib.book.claims") from error  # fmt: skip
            keys = [*one.keys, *(key for pair in one.printed for key in pair)]
            if unknown := [key for key in keys if f"{paper.key}.{key}" not in published_values()]:
                raise RadlibError(f"claim {one.name!r} rests on {unknown[0]!r}, which is no entry", file=file,
                                  remedy="correct the key")  # fmt: skip
            if f"{paper.key}.{one.name}" in found:
                raise RadlibError(f"two claims are named {one.name!r}", file=file, remedy="rename one")
            found[f"{paper.key}.{one.name}"] = one
    return found


UNKNOWN = Likeness(
    patients="analogous", features="analogous", protocol="analogous",
    because="The manifest of the paper does not say how this chapter's real data relate to the paper's.",
)  # fmt: skip


def likeness_of(paper: str, chapter: str) -> Likeness:
    """How far a chapter's run on real data is like the paper's study, by the paper's manifest."""
    return load_paper(paper).real.get(chapter, UNKNOWN)


def decide(claim: Claim, *, cohort: str = "simulated", profile: str = PROFILE, seed: int = 0) -> list[Decision]:
    """What every contrast of a claim gives on a cohort, from results that are there."""
    plans = functools.partial(planned, cohort=cohort, profile=profile, seed=seed)
    return contrasts.decide(claim.decided, plans)


def planned(chapter: str, *, cohort: str = "simulated", profile: str = PROFILE, seed: int = 0) -> dict[str, Study]:
    """The studies of a chapter by name, made one time a process; nothing of them is computed.

    Raises:
        RadlibError: if they cannot be made, such as for a cohort that is not there.
    """
    found = _attempt(chapter, cohort, profile, seed)
    if isinstance(found, RadlibError):
        raise found
    return found


@functools.lru_cache(maxsize=64)
def _attempt(chapter: str, cohort: str, profile: str, seed: int) -> dict[str, Study] | RadlibError:
    """The plan, or why there is none: planning takes seconds, also where it fails."""
    from radlib.book.plan import plan  # imports the papers
    from radlib.book.registry import chapter as registered

    try:
        return plan(registered(chapter), cohort=cohort, profile=profile, seed=seed)
    except RadlibError as error:
        return error


# What was decided on real patients is kept: their jobs are not.


def kept_file(published: Path | None = None) -> Path:
    """``published/real/default/claims.json``."""
    return (published or project_root() / "published") / "real" / PROFILE / "claims.json"


def keep_decisions(published: Path | None = None) -> dict[str, list[Decision]]:
    """Decide every claim on real patients from jobs in ``runs/_jobs``; what was kept and lacks there now stays."""
    found = kept_decisions(published)
    for key, claim in claims().items():
        decisions = decide(claim, cohort="real")
        if not all(one.missing for one in decisions):
            found[key] = decisions
    write_json(kept_file(published), {key: TypeAdapter(list[Decision]).dump_python(one) for key, one in found.items()})
    return found


def kept_decisions(published: Path | None = None) -> dict[str, list[Decision]]:
    """What is kept of real patients, by claim.

    Raises:
        RadlibError: if the file is damaged.
    """
    file = kept_file(published)
    if not file.is_file():
        return {}
    try:
        return TypeAdapter(dict[str, list[Decision]]).validate_json(file.read_bytes())
    except ValidationError as error:
        raise RadlibError(f"not decisions on claims ({first_problem(error)})", file=file,
                          remedy="keep them anew: `radlib study claims --cohort real --keep`") from error  # fmt: skip


def decisions_by_kind(published: Path | None = None) -> dict[str, dict[str, list[Decision]]]:
    """By claim: ``simulated``, from the jobs that are there, and ``real``, from what is kept."""
    kept = kept_decisions(published)
    return {key: {"simulated": decide(claim), "real": kept.get(key, [])} for key, claim in claims().items()}
