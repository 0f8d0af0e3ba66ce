"""Named, versioned feature sets: what `radlib features extract --preset NAME` computes for a subject."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from pydantic import BaseModel, ValidationError

from radlib.core.errors import RadlibError, problems_of
from radlib.core.models import Strict
from radlib.data.cohort import Cohort
from radlib.data.nifti import Volume
from radlib.data.regions import region_mask
from radlib.features.api import compute_features
from radlib.features.api import feature_names as ibsi_names
from radlib.features.islam71 import Islam71Settings, feature_names, islam71
from radlib.features.li671 import Li671Settings, Modality, li671, li671_names
from radlib.features.settings import Discretisation, FeatureSettings

#: The features of an image (None where the modality is missing) in labels: name and value.
Values = Callable[[np.ndarray | None, Volume, Any, torch.device | str], Mapping[str, float]]


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A feature set.

    Attributes:
        name: what it is called on the command line.
        version: raised whenever a value would change.
        description: one line, with the source.
        settings: the model of its settings; a file with extracted features holds them.
        values: what computes them, of an image, labels, settings and device; on the device, except where the set is
            too small for it to matter.
        names: the names of its features, always the same number in the same order.
    """

    name: str
    version: int
    description: str
    settings: type[BaseModel]
    values: Values
    names: Callable[[Any], list[str]]

    def compute(
        self, cohort: Cohort, subject: str, settings: Any, *, device: torch.device | str = "cpu"
    ) -> dict[str, float]:
        """Name and value of every feature of one subject."""
        labels = cohort.labels(subject)
        image = cohort.volume(subject, settings.modality).data if cohort.has(subject, settings.modality) else None
        found = self.values(image, labels, settings, device)
        return {str(name): float(value) for name, value in found.items()}

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


class IbsiSettings(Strict):
    """One image, one region, and everything that :class:`FeatureSettings` can say.

    Attributes:
        modality: the image that is described.
        region: ``et``, ``wt`` or ``tc``.
        features: families, aggregations, resampling, discretisation, derived images, definitions. By default every
            family of IBSI on the original image, in 32 grey levels, as MR images have no unit.
    """

    modality: Modality = "t1ce"
    region: Literal["et", "wt", "tc"] = "wt"
    features: FeatureSettings = FeatureSettings(
        discretisation=Discretisation(method="fbn", bin_count=32), ivh=Discretisation(method="fbn", bin_count=1000)
    )


def _ibsi(
    image: np.ndarray | None, labels: Volume, settings: IbsiSettings, device: torch.device | str
) -> dict[str, float]:
    if image is None:
        return dict.fromkeys(ibsi_names(settings.features), float("nan"))
    mask = region_mask(labels.data, settings.region)
    return dict(compute_features(image, mask, labels.spacing, settings.features, device=device))


PRESETS: dict[str, Preset] = {
    "islam71": Preset(
        name="islam71",
        version=1,
        description="The 71 geometry, shape and intensity features of Islam 2020, section II.C.1",
        settings=Islam71Settings,
        values=lambda image, labels, settings, _: islam71(
            image, labels.data, spacing=labels.spacing, settings=settings
        ),
        names=lambda settings: feature_names(),
    ),
    "li671": Preset(
        name="li671",
        version=1,
        description="671 features of intensity, shape, texture and wavelets, the conventional arm of Li 2017",
        settings=Li671Settings,
        values=lambda image, labels, settings, device: li671(
            image, region_mask(labels.data, "wt"), spacing=labels.spacing, settings=settings, device=device
        ),
        names=li671_names,
    ),
    "ibsi": Preset(
        name="ibsi",
        version=1,
        description="Every family of the IBSI reference manual; the settings choose, PyRadiomics definitions included",
        settings=IbsiSettings,
        values=_ibsi,
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
