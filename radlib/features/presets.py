"""Named, versioned feature sets: what `radlib features extract --preset NAME` computes for a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from radlib.core.errors import RadlibError
from radlib.data.cohort import Cohort
from radlib.features.islam71 import Islam71Settings, feature_names, islam71


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A feature set.

    Attributes:
        name: what it is called on the command line.
        version: raised whenever a value would change.
        description: one line, with the source.
        settings: the model of its settings; a file with extracted features holds them.
        compute: cohort, subject, settings -> name and value of every feature.
        names: the names of its features, always the same number in the same order.
    """

    name: str
    version: int
    description: str
    settings: type[BaseModel]
    compute: Callable[[Cohort, str, Any], Mapping[str, float]]
    names: Callable[[Any], list[str]]

    def parse(self, values: Mapping[str, Any] | None) -> BaseModel:
        """Settings from plain values, e.g. of a YAML file.

        Raises:
            RadlibError: on an unknown name or an impossible value.
        """
        try:
            return self.settings.model_validate(dict(values or {}))
        except ValidationError as error:
            raise RadlibError(f"the settings of preset {self.name!r} are wrong: {error}") from error


def _islam71(cohort: Cohort, subject: str, settings: Islam71Settings) -> Mapping[str, float]:
    labels = cohort.labels(subject)
    available = isinstance(cohort.participants.loc[subject, settings.modality], str)
    image = cohort.volume(subject, settings.modality).data if available else None
    return islam71(image, labels.data, spacing=labels.spacing, settings=settings)


PRESETS: dict[str, Preset] = {
    "islam71": Preset(
        name="islam71",
        version=1,
        description="The 71 geometry, shape and intensity features of Islam 2020, section II.C.1",
        settings=Islam71Settings,
        compute=_islam71,
        names=lambda settings: feature_names(),
    ),
}


def preset(name: str) -> Preset:
    """The preset of that name.

    Raises:
        RadlibError: if there is none; the message lists those there are.
    """
    if name not in PRESETS:
        raise RadlibError(f"there is no feature preset {name!r}", remedy=f"choose one of {', '.join(PRESETS)}")
    return PRESETS[name]
