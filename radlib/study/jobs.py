"""Jobs: units of expensive work that are functions of plain values, and the fingerprints by which they are known.

A job function is written like this, in ``radlib/papers/<key>/study.py``::

    @job
    def segmentation(work: Work, *, images: Images, network: str, recipe: Recipe, seed: int, start: Job | None = None):
        ...
        work.scores(frame)

Calling it computes nothing: ``segmentation(images=..., network="unet", recipe=..., seed=0)`` is a :class:`Job`, whose
``result()`` is found or computed (:mod:`radlib.study.store`). Inputs are plain values, dataclasses or pydantic models
of them, cohorts (:class:`radlib.study.cohorts.Source`) and other jobs, its parents.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import inspect
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, get_type_hints

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import core_schema

from radlib.core.errors import RadlibError
from radlib.core.settings import budget
from radlib.study.code import code_digest

if TYPE_CHECKING:
    from radlib.study.store import Result

#: Metadata of a dataclass's field that does not decide a result: ``field(metadata=NOT_DECIDING)``.
NOT_DECIDING = {"decides": False}

_KNOWN: dict[str, JobFunction] = {}


class JobFunction:
    """What :func:`job` makes of a function; calling it with inputs gives a :class:`Job`."""

    def __init__(self, function: Callable[..., None], *, keep: bool = True) -> None:
        self.function, self.keep = function, keep
        self.name = f"{function.__module__}:{function.__qualname__}"
        self.__doc__, self.__name__, self.__module__ = function.__doc__, function.__name__, function.__module__
        self.__wrapped__ = function
        _KNOWN[self.name] = self

    def __call__(self, **inputs: Any) -> Job:
        """The job of these inputs; defaults are filled in, and every input is checked against its annotation.

        Raises:
            RadlibError: if an input lacks, is unknown or is of another type than declared.
        """
        try:
            bound = inspect.signature(self.function).bind(None, **inputs)
        except TypeError as error:
            raise RadlibError(f"{self.title}: {error}", remedy="give the inputs that the job function names") from error
        bound.apply_defaults()
        given = dict(list(bound.arguments.items())[1:])
        checked = {}
        for name, value in given.items():
            try:
                checked[name] = self._adapters[name].validate_python(value)
            except ValidationError as error:
                problem = error.errors()[0]
                raise RadlibError(f"{self.title}: input {name!r} is {value!r}: {problem['msg']}") from error
        return Job(self, checked)

    @cached_property
    def _adapters(self) -> dict[str, TypeAdapter[Any]]:
        hints = get_type_hints(self.function)
        names = list(inspect.signature(self.function).parameters)[1:]
        return {name: _adapter(hints.get(name, Any)) for name in names}

    @property
    def title(self) -> str:
        """``zhang2021.segmentation``: the paper and the function."""
        return f"{self.function.__module__.removesuffix('.study').rpartition('.')[2]}.{self.function.__name__}"

    @property
    def code(self) -> str:
        """A digest of the code that the function's module reaches."""
        return code_digest([self.function.__module__])


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except Exception:  # types that carry a configuration of their own take none from outside
        return TypeAdapter(hint)


def job(function: Callable[..., None]) -> JobFunction:
    """Make a function of the form ``function(work, *, inputs)`` a job function."""
    return JobFunction(function)


def job_on_real_patients(function: Callable[..., None]) -> JobFunction:
    """A job function that tests on real patients whatever its cohorts are; its results are never kept."""
    return JobFunction(function, keep=False)


@dataclasses.dataclass(frozen=True, eq=False)
class Job:
    """One unit of work: a job function and its inputs.

    Attributes:
        function: what is done.
        inputs: by name, defaults included.
    """

    function: JobFunction
    inputs: Mapping[str, Any]

    @cached_property
    def key(self) -> str:
        """A digest of everything but code: what is asked for. A kept job of other code has the same key."""
        return _digest({"function": self.function.name, "inputs": _identity(dict(self.inputs), "key"), **_budget()})

    @cached_property
    def fingerprint(self) -> str:
        """A digest of everything that decides the result: function, inputs, cohort, parents, code."""
        inputs = _identity(dict(self.inputs), "fingerprint")
        return _digest({"function": self.function.name, "inputs": inputs, "code": self.function.code, **_budget()})

    @property
    def title(self) -> str:
        """The function with its plain inputs, for progress and lists."""
        shown = [
            f"{name} {'-'.join(map(str, value)) if isinstance(value, tuple) else value}"
            for name, value in self.inputs.items()
            if isinstance(value, (str, int, float)) or (isinstance(value, tuple) and value and _short(value))
        ]
        return ", ".join([self.function.title, *shown])

    def parents(self) -> list[Job]:
        """The jobs among the inputs, however deep in lists and dataclasses, but not theirs."""
        return list(_jobs_in(dict(self.inputs)))

    def spec(self) -> dict[str, Any]:
        """The job as JSON, from which :meth:`from_spec` makes it again in another process."""
        return {"function": self.function.name, "inputs": _identity(dict(self.inputs), "spec")}

    @classmethod
    def from_spec(cls, spec: Mapping[str, Any]) -> Job:
        """The inverse of :meth:`spec`.

        Raises:
            RadlibError: if the function does not exist (any more), or an input does not fit it.
        """
        return known_function(spec["function"])(**spec["inputs"])

    def result(self) -> Result:
        """What the job leaves: found here, found kept, or computed now."""
        from radlib.study.store import result

        return result(self)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> core_schema.CoreSchema:
        def read(value: Any) -> Job:
            if isinstance(value, Job):
                return value
            if isinstance(value, Mapping) and set(value) == {"function", "inputs"}:
                return cls.from_spec(value)
            raise ValueError("this is no job")

        return core_schema.no_info_plain_validator_function(read)


def known_function(name: str) -> JobFunction:
    """The job function of a name such as ``radlib.papers.zhang2021.study:segmentation``.

    Raises:
        RadlibError: if radlib has no such function.
    """
    if name not in _KNOWN:
        module, _, function = name.partition(":")
        remedy = "compute the study again: the code that made this job has changed"
        if not module.startswith("radlib.papers."):
            raise RadlibError(f"{name!r} is no job function of radlib", remedy=remedy)
        try:
            importlib.import_module(module)
        except ModuleNotFoundError as error:
            raise RadlibError(f"there is no module {module!r}", remedy=remedy) from error
        if name not in _KNOWN:
            raise RadlibError(f"{module} has no job function {function!r}", remedy=remedy)
    return _KNOWN[name]


def _short(values: tuple[Any, ...]) -> bool:
    return len(values) < 5 and all(isinstance(value, (str, int)) for value in values)


def _budget() -> dict[str, float]:
    return {} if budget() == 1 else {"budget": budget()}


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:20]


def _identity(value: Any, mode: str) -> Any:
    """A value as JSON: for ``key`` and ``fingerprint`` without what decides nothing, for ``spec`` whole."""
    if isinstance(value, Job):
        return value.spec() if mode == "spec" else getattr(value, mode)
    if mode != "spec" and hasattr(value, "fingerprint") and hasattr(value, "key"):
        return getattr(value, mode)
    if isinstance(value, BaseModel):
        return _identity({name: getattr(value, name) for name in type(value).model_fields}, mode)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = [one for one in dataclasses.fields(value) if mode == "spec" or one.metadata.get("decides", True)]
        return {one.name: _identity(getattr(value, one.name), mode) for one in fields}
    if isinstance(value, Mapping):
        return {str(name): _identity(entry, mode) for name, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_identity(entry, mode) for entry in value]
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise RadlibError(f"an input of a job is {value}", remedy="inputs are finite; use None for what lacks")
        return value if mode == "spec" else float(f"{value:.12g}")  # the last bits of exp() differ between processors
    raise RadlibError(
        f"{value!r} ({type(value).__name__}) is no input of a job",
        remedy="give plain values, dataclasses of them, cohorts and jobs",
    )


def _jobs_in(value: Any) -> Iterator[Job]:
    if isinstance(value, Job):
        yield value
        return
    parts: Iterable[Any] = ()
    if isinstance(value, BaseModel):
        parts = (getattr(value, name) for name in type(value).model_fields)
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = (getattr(value, one.name) for one in dataclasses.fields(value))
    elif isinstance(value, Mapping):
        parts = value.values()
    elif isinstance(value, (list, tuple)):
        parts = value
    for part in parts:
        yield from _jobs_in(part)
