"""Named, versioned feature sets: what `radlib features extract --preset NAME` computes for a subject."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError

from radlib.core.errors import RadlibError, problems_of
from radlib.data.cohort import Cohort
from radlib.data.regions import region_mask
from radlib.features.api import compute_features
from radlib.features.api import feature_names as ibsi_names
from radlib.features.islam71 import Islam71Settings, feature_names, islam71
from radlib.features.li671 import Li671Settings, Modality, li671, li671_names
from radlib.features.settings import Discretisation, FeatureSettings


class Compute(Protocol):
    """The features of one subject: name and value."""

    def __call__(
        self, cohort: Cohort, subject: str, settings: Any, *, device: torch.device | str = "cpu"
    ) -> Mapping[str, float]: ...


class Names(Protocol):
    """The names of the features that settings give."""

    def __call__(self, settings: Any) -> list[str]: ...


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A feature set.

    Attributes:
        name: what it is called on the command line.
        version: raised whenever a value would change.
        description: one line, with the source.
        settings: the model of its settings; a file with extracted features holds them.
        compute: cohort, subject, settings -> name and value of every feature; counted on ``device``, except where the
            set is too small for it to matter.
        names: the names of its features, always the same number in the same order.
    """

    name: str
    version: int
    description: str
    settings: type[BaseModel]
    compute: Compute
    names: Names

    def parse(self, values: Mapping[str, Any] | None, *, file: Path | None = None) -> BaseModel:
        """Settings from plain values, e.g. of the YAML file ``file``.

        Raises:
            RadlibError: on an unknown name or an impossible value.
        """
        try:
            return self.settings.model_validate(dict(values or {}))
        except ValidationError as error:
            raise RadlibError(
                f"the settings of preset {self.name!r} are wrong: {problems_of(error)}", file=file,
                remedy=f"it has {', '.join(self.settings.model_fields)}",
            ) from error  # fmt: skip


class IbsiSettings(BaseModel):
    """One image, one region, and everything that :class:`FeatureSettings` can say.

    Attributes:
        modality: the image that is described.
        region: ``et``, ``wt`` or ``tc``.
        features: families, aggregations, resampling, discretisation, derived images, definitions. By default every
            family of IBSI on the original image, in 32 grey levels, as MR images have no unit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    modality: Modality = "t1ce"
    region: Literal["et", "wt", "tc"] = "wt"
    features: FeatureSettings = FeatureSettings(
        discretisation=Discretisation(method="fbn", bin_count=32), ivh=Discretisation(method="fbn", bin_count=1000)
    )


def _image(cohort: Cohort, subject: str, modality: str) -> np.ndarray | None:
    available = isinstance(cohort.participants.loc[subject, modality], str)
    return cohort.volume(subject, modality).data if available else None


def _islam71(
    cohort: Cohort, subject: str, settings: Islam71Settings, *, device: torch.device | str = "cpu"
) -> Mapping[str, float]:
    labels = cohort.labels(subject)
    image = _image(cohort, subject, settings.modality)
    return islam71(image, labels.data, spacing=labels.spacing, settings=settings)


def _li671(
    cohort: Cohort, subject: str, settings: Li671Settings, *, device: torch.device | str = "cpu"
) -> Mapping[str, float]:
    labels = cohort.labels(subject)
    image = _image(cohort, subject, settings.modality)
    return li671(image, region_mask(labels.data, "wt"), spacing=labels.spacing, settings=settings, device=device)


def _ibsi(
    cohort: Cohort, subject: str, settings: IbsiSettings, *, device: torch.device | str = "cpu"
) -> Mapping[str, float]:
    labels = cohort.labels(subject)
    image = _image(cohort, subject, settings.modality)
    if image is None:
        return dict.fromkeys(ibsi_names(settings.features), float("nan"))
    mask = region_mask(labels.data, settings.region)
    found = compute_features(image, mask, labels.spacing, settings.features, device=device)
    return {str(name): float(value) for name, value in found.items()}


PRESETS: dict[str, Preset] = {
    "islam71": Preset(
        name="islam71",
        version=1,
        description="The 71 geometry, shape and intensity features of Islam 2020, section II.C.1",
        settings=Islam71Settings,
        compute=_islam71,
        names=lambda settings: feature_names(),
    ),
    "li671": Preset(
        name="li671",
        version=1,
        description="671 features of intensity, shape, texture and wavelets, the conventional arm of Li 2017",
        settings=Li671Settings,
        compute=_li671,
        names=li671_names,
    ),
    "ibsi": Preset(
        name="ibsi",
        version=1,
        description="Every family of the IBSI reference manual; the settings choose, PyRadiomics definitions included",
        settings=IbsiSettings,
        compute=_ibsi,
        names=lambda settings: ibsi_names(settings.features),
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
