"""The settings of a feature computation: one frozen, validated object."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError, field_validator, model_validator

from radlib.core.errors import RadlibError
from radlib.core.models import Strict
from radlib.features.registry import AGGREGATIONS, IBSI_FAMILIES, PYRADIOMICS_CLASSES

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Interpolation = Literal["nearest", "linear", "cubic"]


class Discretisation(Strict):
    """How intensities become grey levels 1 to N_g (IBSI reference manual, section 2.7).

    ``fbs`` (fixed bin size): bins of ``bin_width`` that start at the lower bound of the re-segmentation range where
    there is one, else at the region's minimum. ``fbn`` (fixed bin number): ``bin_count`` bins from the region's
    minimum to its maximum. ``none``: the intensities are grey levels already (positive integers); for the
    intensity-volume histogram it means steps of one unit.
    """

    method: Literal["fbs", "fbn", "none"] = "fbs"
    bin_width: Positive = 25.0
    bin_count: Annotated[int, Field(ge=1, le=1_000_000)] = 32


class Resampling(Strict):
    """Interpolation to another voxel spacing (IBSI section 2.4).

    ``spacing`` is in mm, in the order of the array's axes; None for an axis keeps it as it is (resampling within
    slices). The new grid is aligned with the old one by their centres; under PyRadiomics definitions by the corner
    of the first voxel.
    """

    spacing: tuple[Positive | None, Positive | None, Positive | None]
    image: Interpolation = "linear"
    mask: Interpolation = "linear"
    mask_threshold: Annotated[float, Field(gt=0, le=1)] = 0.5


class DerivedImage(Strict):
    """An image computed from the (resampled) image before features are taken from it.

    ``log`` is the Laplacian of Gaussian at ``sigma_mm``; ``wavelet`` the eight bands of one level of the stationary
    transform with ``wavelet_name``. The others are point operations as PyRadiomics defines them.
    """

    kind: Literal["original", "wavelet", "log", "square", "square_root", "logarithm", "exponential", "gradient"]
    sigma_mm: Positive | None = None
    wavelet_name: str = "coif1"
    bands: tuple[str, ...] = ("LLL", "LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH")

    @model_validator(mode="after")
    def _complete(self) -> DerivedImage:
        if (self.kind == "log") != (self.sigma_mm is not None):
            raise ValueError("sigma_mm goes with kind 'log', and only with it")
        for band in self.bands:
            if len(band) != 3 or set(band) - {"L", "H"}:
                raise ValueError(f"wavelet band {band!r} is not three letters out of L and H")
        return self


ORIGINAL = DerivedImage(kind="original")


class FeatureSettings(Strict):
    """Everything that decides on a feature's value.

    Args:
        definitions: ``ibsi`` or ``pyradiomics``; the names, the feature definitions, the bin edges and the
            resampling grid follow.
        families: what to compute; empty means all families of the definitions.
        aggregations: of the texture matrices (IBSI definitions only), from ``registry.AGGREGATIONS``.
        slice_axis: the array axis across slices, for two-dimensional aggregations.
        resampling: interpolation to another spacing, or None.
        round_intensities: round the interpolated intensities to integers (as IBSI does for Hounsfield units).
        normalise_scale: z-score the whole image first and multiply by this; None leaves it as it is.
        resegment: closed intensity range that a voxel must lie in; None on a side leaves it open.
        resegment_mode: the range in intensity units, in fractions of the region's maximum, or in standard
            deviations around the region's mean.
        outlier_sigma: keep voxels within this many standard deviations of the region's mean (IBSI 2.5.2).
        discretisation: grey levels for histogram and texture.
        ivh: grey levels for the intensity-volume histogram.
        images: the original and derived images to take features from.
        distance: Chebyshev distance of the co-occurrence, tone-difference and dependence matrices, in voxels.
        dependence_tolerance: coarseness alpha of the dependence matrix, in grey levels.
        energy_shift: PyRadiomics' ``voxelArrayShift``, added before energy, total energy and root mean square.
        merge_directions: PyRadiomics' ``weightingNorm: no_weighting``: directions summed into one matrix.
        in_plane: PyRadiomics' ``force2D``: neighbours within slices only.
        crop_margin: PyRadiomics' ``preCrop``: crop to the region's box and this many voxels before filters.
        resampling_pad: PyRadiomics' ``padDistance``: voxels kept around the region when resampling.
    """

    definitions: Literal["ibsi", "pyradiomics"] = "ibsi"
    families: tuple[str, ...] = ()
    aggregations: tuple[str, ...] = ("3d_averaged", "3d_merged", "3d")
    slice_axis: Literal[0, 1, 2] = 2
    resampling: Resampling | None = None
    round_intensities: bool = False
    normalise_scale: Positive | None = None
    resegment: tuple[float | None, float | None] | None = None
    resegment_mode: Literal["absolute", "relative", "sigma"] = "absolute"
    outlier_sigma: Positive | None = None
    discretisation: Discretisation = Discretisation()
    ivh: Discretisation = Discretisation(method="none")
    images: tuple[DerivedImage, ...] = (ORIGINAL,)
    distance: Annotated[int, Field(ge=1, le=20)] = 1
    dependence_tolerance: Annotated[int, Field(ge=0)] = 0
    energy_shift: float = 0.0
    merge_directions: bool = False
    in_plane: bool = False
    crop_margin: Annotated[int, Field(ge=0)] | None = None
    resampling_pad: Annotated[int, Field(ge=0)] = 5

    @field_validator("images")
    @classmethod
    def _some_image(cls, value: tuple[DerivedImage, ...]) -> tuple[DerivedImage, ...]:
        if not value:
            raise ValueError("name at least one image")
        if len(set(value)) != len(value):
            raise ValueError("an image is named twice")
        return value

    @model_validator(mode="after")
    def _consistent(self) -> FeatureSettings:
        known = IBSI_FAMILIES if self.definitions == "ibsi" else PYRADIOMICS_CLASSES
        for name in self.families:
            if name not in known:
                raise ValueError(f"family {name!r} is not one of the {self.definitions} families {', '.join(known)}")
        for name in self.aggregations:
            if name not in AGGREGATIONS:
                raise ValueError(f"aggregation {name!r} is not one of {', '.join(AGGREGATIONS)}")
        if self.resegment is not None:
            low, high = self.resegment
            if low is not None and high is not None and low > high:
                raise ValueError(f"the re-segmentation range starts at {low} and ends at {high}")
        if self.definitions == "ibsi" and (self.merge_directions or self.in_plane or self.energy_shift):
            raise ValueError(
                "merge_directions, in_plane and energy_shift are PyRadiomics settings; IBSI has aggregations"
            )
        return self

    @classmethod
    def create(cls, **values: Any) -> FeatureSettings:
        """Like the constructor, but a mistake raises :class:`RadlibError` that names the setting and its value."""
        return cls.from_mapping(values)

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> FeatureSettings:
        """Validated settings from plain values.

        Raises:
            RadlibError: naming every setting that is wrong, with its value.
        """
        try:
            return cls.model_validate(dict(values))
        except ValidationError as error:
            wrong = "; ".join(
                f"{'.'.join(map(str, item['loc'])) or 'settings'}: {item['msg']} (got {item['input']!r})"
                for item in error.errors()
            )
            raise RadlibError(
                f"feature settings: {wrong}", remedy=f"the settings are {', '.join(cls.model_fields)}"
            ) from error
