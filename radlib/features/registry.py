# ruff: noqa: E501  (rows of the table are not broken)
"""Every feature by name: family, IBSI permanent identifier, IBSI tag and nearest PyRadiomics feature.

The identifiers and tags are those of the Image Biomarker Standardisation Initiative (Zwanenburg et al. 2020,
reference manual, chapter 3); the tags are also the row names of its reference values.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import pandas as pd

MATRIX_AGGREGATIONS = {
    "2d_averaged": ("BTW3", "2D_avg", "matrix a slice and direction; features averaged"),
    "2d_merged": ("SUJT", "2D_comb", "directions merged in each slice; features averaged over slices"),
    "2_5d_direction_merged": ("JJUI", "2_5D_avg", "slices merged for each direction; features averaged"),
    "2_5d_merged": ("ZW7Z", "2_5D_comb", "all slices and directions merged into one matrix"),
    "3d_averaged": ("ITBB", "3D_avg", "matrix for each of 13 directions; features averaged"),
    "3d_merged": ("IAZD", "3D_comb", "13 directions merged into one matrix"),
}
ZONE_AGGREGATIONS = {
    "2d": ("8QNN", "2D", "matrix a slice; features averaged"),
    "2_5d": ("62GR", "2_5D", "slices merged into one matrix"),
    "3d": ("KOBO", "3D", "one matrix of the volume"),
}
AGGREGATIONS = {**MATRIX_AGGREGATIONS, **ZONE_AGGREGATIONS}

_FAMILIES = {
    "morphology": ("HCUG", "Morphology"),
    "local_intensity": ("9ST6", "Local intensity"),
    "statistics": ("UHIW", "Intensity-based statistics"),
    "histogram": ("ZVCW", "Intensity histogram"),
    "ivh": ("P88C", "Intensity-volume histogram"),
    "glcm": ("LFYI", "Grey level co-occurrence matrix"),
    "glrlm": ("TP0I", "Grey level run length matrix"),
    "glszm": ("9SAK", "Grey level size zone matrix"),
    "gldzm": ("VMDZ", "Grey level distance zone matrix"),
    "ngtdm": ("IPET", "Neighbourhood grey tone difference matrix"),
    "ngldm": ("REK0", "Neighbouring grey level dependence matrix"),
}
IBSI_FAMILIES = tuple(_FAMILIES)
PYRADIOMICS_CLASSES = ("shape", "shape2D", "firstorder", "glcm", "glrlm", "glszm", "ngtdm", "gldm")

# family | name | title | IBSI identifier | IBSI tag | nearest PyRadiomics feature
_TABLE = """
morphology | volume_mesh | Volume (mesh) | RNU0 | morph_volume | shape_MeshVolume
morphology | volume_voxel_counting | Volume (voxel counting) | YEKZ | morph_vol_approx | shape_VoxelVolume
morphology | surface_area_mesh | Surface area (mesh) | C0JK | morph_area_mesh | shape_SurfaceArea
morphology | surface_to_volume_ratio | Surface to volume ratio | 2PR5 | morph_av | shape_SurfaceVolumeRatio
morphology | compactness_1 | Compactness 1 | SKGS | morph_comp_1 | shape_Compactness1
morphology | compactness_2 | Compactness 2 | BQWJ | morph_comp_2 | shape_Compactness2
morphology | spherical_disproportion | Spherical disproportion | KRCK | morph_sph_dispr | shape_SphericalDisproportion
morphology | sphericity | Sphericity | QCFX | morph_sphericity | shape_Sphericity
morphology | asphericity | Asphericity | 25C7 | morph_asphericity |
morphology | centre_of_mass_shift | Centre of mass shift | KLMA | morph_com |
morphology | maximum_3d_diameter | Maximum 3D diameter | L0JK | morph_diam | shape_Maximum3DDiameter
morphology | major_axis_length | Major axis length | TDIC | morph_pca_maj_axis | shape_MajorAxisLength
morphology | minor_axis_length | Minor axis length | P9VJ | morph_pca_min_axis | shape_MinorAxisLength
morphology | least_axis_length | Least axis length | 7J51 | morph_pca_least_axis | shape_LeastAxisLength
morphology | elongation | Elongation | Q3CK | morph_pca_elongation | shape_Elongation
morphology | flatness | Flatness | N17B | morph_pca_flatness | shape_Flatness
morphology | volume_density_aabb | Volume density (AABB) | PBX1 | morph_vol_dens_aabb |
morphology | area_density_aabb | Area density (AABB) | R59B | morph_area_dens_aabb |
morphology | volume_density_ombb | Volume density (OMBB) | ZH1A | morph_vol_dens_ombb |
morphology | area_density_ombb | Area density (OMBB) | IQYR | morph_area_dens_ombb |
morphology | volume_density_aee | Volume density (AEE) | 6BDE | morph_vol_dens_aee |
morphology | area_density_aee | Area density (AEE) | RDD2 | morph_area_dens_aee |
morphology | volume_density_mvee | Volume density (MVEE) | SWZ1 | morph_vol_dens_mvee |
morphology | area_density_mvee | Area density (MVEE) | BRI8 | morph_area_dens_mvee |
morphology | volume_density_convex_hull | Volume density (convex hull) | R3ER | morph_vol_dens_conv_hull |
morphology | area_density_convex_hull | Area density (convex hull) | 7T7F | morph_area_dens_conv_hull |
morphology | integrated_intensity | Integrated intensity | 99N0 | morph_integ_int |
morphology | moran_i_index | Moran's I index | N365 | morph_moran_i |
morphology | geary_c_measure | Geary's C measure | NPT7 | morph_geary_c |
local_intensity | local_intensity_peak | Local intensity peak | VJGA | loc_peak_loc |
local_intensity | global_intensity_peak | Global intensity peak | 0F91 | loc_peak_glob |
statistics | mean | Mean | Q4LE | stat_mean | firstorder_Mean
statistics | variance | Variance | ECT3 | stat_var | firstorder_Variance
statistics | skewness | Skewness | KE2A | stat_skew | firstorder_Skewness
statistics | excess_kurtosis | (Excess) kurtosis | IPH6 | stat_kurt | firstorder_Kurtosis
statistics | median | Median | Y12H | stat_median | firstorder_Median
statistics | minimum | Minimum | 1GSF | stat_min | firstorder_Minimum
statistics | percentile_10 | 10th percentile | QG58 | stat_p10 | firstorder_10Percentile
statistics | percentile_90 | 90th percentile | 8DWT | stat_p90 | firstorder_90Percentile
statistics | maximum | Maximum | 84IY | stat_max | firstorder_Maximum
statistics | interquartile_range | Interquartile range | SALO | stat_iqr | firstorder_InterquartileRange
statistics | range | Range | 2OJQ | stat_range | firstorder_Range
statistics | mean_absolute_deviation | Mean absolute deviation | 4FUA | stat_mad | firstorder_MeanAbsoluteDeviation
statistics | robust_mean_absolute_deviation | Robust mean absolute deviation | 1128 | stat_rmad | firstorder_RobustMeanAbsoluteDeviation
statistics | median_absolute_deviation | Median absolute deviation | N72L | stat_medad |
statistics | coefficient_of_variation | Coefficient of variation | 7TET | stat_cov |
statistics | quartile_coefficient_of_dispersion | Quartile coefficient of dispersion | 9S40 | stat_qcod |
statistics | energy | Energy | N8CA | stat_energy | firstorder_Energy
statistics | root_mean_square | Root mean square | 5ZWQ | stat_rms | firstorder_RootMeanSquared
histogram | mean | Mean | X6K6 | ih_mean |
histogram | variance | Variance | CH89 | ih_var |
histogram | skewness | Skewness | 88K1 | ih_skew |
histogram | excess_kurtosis | (Excess) kurtosis | C3I7 | ih_kurt |
histogram | median | Median | WIFQ | ih_median |
histogram | minimum | Minimum | 1PR8 | ih_min |
histogram | percentile_10 | 10th percentile | GPMT | ih_p10 |
histogram | percentile_90 | 90th percentile | OZ0C | ih_p90 |
histogram | maximum | Maximum | 3NCY | ih_max |
histogram | mode | Mode | AMMC | ih_mode |
histogram | interquartile_range | Interquartile range | WR0O | ih_iqr |
histogram | range | Range | 5Z3W | ih_range |
histogram | mean_absolute_deviation | Mean absolute deviation | D2ZX | ih_mad |
histogram | robust_mean_absolute_deviation | Robust mean absolute deviation | WRZB | ih_rmad |
histogram | median_absolute_deviation | Median absolute deviation | 4RNL | ih_medad |
histogram | coefficient_of_variation | Coefficient of variation | CWYJ | ih_cov |
histogram | quartile_coefficient_of_dispersion | Quartile coefficient of dispersion | SLWD | ih_qcod |
histogram | entropy | Entropy | TLU2 | ih_entropy | firstorder_Entropy
histogram | uniformity | Uniformity | BJ5W | ih_uniformity | firstorder_Uniformity
histogram | maximum_histogram_gradient | Maximum histogram gradient | 12CE | ih_max_grad |
histogram | maximum_histogram_gradient_intensity | Maximum histogram gradient intensity | 8E6O | ih_max_grad_g |
histogram | minimum_histogram_gradient | Minimum histogram gradient | VQB3 | ih_min_grad |
histogram | minimum_histogram_gradient_intensity | Minimum histogram gradient intensity | RHQZ | ih_min_grad_g |
ivh | volume_fraction_at_10_intensity | Volume fraction at 10% intensity | BC2M | ivh_v10 |
ivh | volume_fraction_at_90_intensity | Volume fraction at 90% intensity | BC2M | ivh_v90 |
ivh | intensity_at_10_volume | Intensity at 10% volume | GBPN | ivh_i10 |
ivh | intensity_at_90_volume | Intensity at 90% volume | GBPN | ivh_i90 |
ivh | volume_fraction_difference_10_90 | Volume fraction difference between 10% and 90% intensity | DDTU | ivh_diff_v10_v90 |
ivh | intensity_difference_10_90 | Intensity difference between 10% and 90% volume | CNV2 | ivh_diff_i10_i90 |
ivh | area_under_curve | Area under the IVH curve | 9CMM | ivh_auc |
glcm | joint_maximum | Joint maximum | GYBY | cm_joint_max | glcm_MaximumProbability
glcm | joint_average | Joint average | 60VM | cm_joint_avg | glcm_JointAverage
glcm | joint_variance | Joint variance | UR99 | cm_joint_var | glcm_SumSquares
glcm | joint_entropy | Joint entropy | TU9B | cm_joint_entr | glcm_JointEntropy
glcm | difference_average | Difference average | TF7R | cm_diff_avg | glcm_DifferenceAverage
glcm | difference_variance | Difference variance | D3YU | cm_diff_var | glcm_DifferenceVariance
glcm | difference_entropy | Difference entropy | NTRS | cm_diff_entr | glcm_DifferenceEntropy
glcm | sum_average | Sum average | ZGXS | cm_sum_avg | glcm_SumAverage
glcm | sum_variance | Sum variance | OEEB | cm_sum_var |
glcm | sum_entropy | Sum entropy | P6QZ | cm_sum_entr | glcm_SumEntropy
glcm | angular_second_moment | Angular second moment | 8ZQL | cm_energy | glcm_JointEnergy
glcm | contrast | Contrast | ACUI | cm_contrast | glcm_Contrast
glcm | dissimilarity | Dissimilarity | 8S9J | cm_dissimilarity |
glcm | inverse_difference | Inverse difference | IB1Z | cm_inv_diff | glcm_Id
glcm | normalised_inverse_difference | Normalised inverse difference | NDRX | cm_inv_diff_norm | glcm_Idn
glcm | inverse_difference_moment | Inverse difference moment | WF0Z | cm_inv_diff_mom | glcm_Idm
glcm | normalised_inverse_difference_moment | Normalised inverse difference moment | 1QCO | cm_inv_diff_mom_norm | glcm_Idmn
glcm | inverse_variance | Inverse variance | E8JP | cm_inv_var | glcm_InverseVariance
glcm | correlation | Correlation | NI2N | cm_corr | glcm_Correlation
glcm | autocorrelation | Autocorrelation | QWB0 | cm_auto_corr | glcm_Autocorrelation
glcm | cluster_tendency | Cluster tendency | DG8W | cm_clust_tend | glcm_ClusterTendency
glcm | cluster_shade | Cluster shade | 7NFM | cm_clust_shade | glcm_ClusterShade
glcm | cluster_prominence | Cluster prominence | AE86 | cm_clust_prom | glcm_ClusterProminence
glcm | information_correlation_1 | Information correlation 1 | R8DG | cm_info_corr1 | glcm_Imc1
glcm | information_correlation_2 | Information correlation 2 | JN9H | cm_info_corr2 | glcm_Imc2
glrlm | short_runs_emphasis | Short runs emphasis | 22OV | rlm_sre | glrlm_ShortRunEmphasis
glrlm | long_runs_emphasis | Long runs emphasis | W4KF | rlm_lre | glrlm_LongRunEmphasis
glrlm | low_grey_level_run_emphasis | Low grey level run emphasis | V3SW | rlm_lgre | glrlm_LowGrayLevelRunEmphasis
glrlm | high_grey_level_run_emphasis | High grey level run emphasis | G3QZ | rlm_hgre | glrlm_HighGrayLevelRunEmphasis
glrlm | short_run_low_grey_level_emphasis | Short run low grey level emphasis | HTZT | rlm_srlge | glrlm_ShortRunLowGrayLevelEmphasis
glrlm | short_run_high_grey_level_emphasis | Short run high grey level emphasis | GD3A | rlm_srhge | glrlm_ShortRunHighGrayLevelEmphasis
glrlm | long_run_low_grey_level_emphasis | Long run low grey level emphasis | IVPO | rlm_lrlge | glrlm_LongRunLowGrayLevelEmphasis
glrlm | long_run_high_grey_level_emphasis | Long run high grey level emphasis | 3KUM | rlm_lrhge | glrlm_LongRunHighGrayLevelEmphasis
glrlm | grey_level_non_uniformity | Grey level non-uniformity | R5YN | rlm_glnu | glrlm_GrayLevelNonUniformity
glrlm | normalised_grey_level_non_uniformity | Normalised grey level non-uniformity | OVBL | rlm_glnu_norm | glrlm_GrayLevelNonUniformityNormalized
glrlm | run_length_non_uniformity | Run length non-uniformity | W92Y | rlm_rlnu | glrlm_RunLengthNonUniformity
glrlm | normalised_run_length_non_uniformity | Normalised run length non-uniformity | IC23 | rlm_rlnu_norm | glrlm_RunLengthNonUniformityNormalized
glrlm | run_percentage | Run percentage | 9ZK5 | rlm_r_perc | glrlm_RunPercentage
glrlm | grey_level_variance | Grey level variance | 8CE5 | rlm_gl_var | glrlm_GrayLevelVariance
glrlm | run_length_variance | Run length variance | SXLW | rlm_rl_var | glrlm_RunVariance
glrlm | run_entropy | Run entropy | HJ9O | rlm_rl_entr | glrlm_RunEntropy
glszm | small_zone_emphasis | Small zone emphasis | 5QRC | szm_sze | glszm_SmallAreaEmphasis
glszm | large_zone_emphasis | Large zone emphasis | 48P8 | szm_lze | glszm_LargeAreaEmphasis
glszm | low_grey_level_emphasis | Low grey level emphasis | XMSY | szm_lgze | glszm_LowGrayLevelZoneEmphasis
glszm | high_grey_level_emphasis | High grey level emphasis | 5GN9 | szm_hgze | glszm_HighGrayLevelZoneEmphasis
glszm | small_zone_low_grey_level_emphasis | Small zone low grey level emphasis | 5RAI | szm_szlge | glszm_SmallAreaLowGrayLevelEmphasis
glszm | small_zone_high_grey_level_emphasis | Small zone high grey level emphasis | HW1V | szm_szhge | glszm_SmallAreaHighGrayLevelEmphasis
glszm | large_zone_low_grey_level_emphasis | Large zone low grey level emphasis | YH51 | szm_lzlge | glszm_LargeAreaLowGrayLevelEmphasis
glszm | large_zone_high_grey_level_emphasis | Large zone high grey level emphasis | J17V | szm_lzhge | glszm_LargeAreaHighGrayLevelEmphasis
glszm | grey_level_non_uniformity | Grey level non-uniformity | JNSA | szm_glnu | glszm_GrayLevelNonUniformity
glszm | normalised_grey_level_non_uniformity | Normalised grey level non-uniformity | Y1RO | szm_glnu_norm | glszm_GrayLevelNonUniformityNormalized
glszm | zone_size_non_uniformity | Zone size non-uniformity | 4JP3 | szm_zsnu | glszm_SizeZoneNonUniformity
glszm | normalised_zone_size_non_uniformity | Normalised zone size non-uniformity | VB3A | szm_zsnu_norm | glszm_SizeZoneNonUniformityNormalized
glszm | zone_percentage | Zone percentage | P30P | szm_z_perc | glszm_ZonePercentage
glszm | grey_level_variance | Grey level variance | BYLV | szm_gl_var | glszm_GrayLevelVariance
glszm | zone_size_variance | Zone size variance | 3NSA | szm_zs_var | glszm_ZoneVariance
glszm | zone_size_entropy | Zone size entropy | GU8N | szm_zs_entr | glszm_ZoneEntropy
gldzm | small_distance_emphasis | Small distance emphasis | 0GBI | dzm_sde |
gldzm | large_distance_emphasis | Large distance emphasis | MB4I | dzm_lde |
gldzm | low_grey_level_emphasis | Low grey level emphasis | S1RA | dzm_lgze |
gldzm | high_grey_level_emphasis | High grey level emphasis | K26C | dzm_hgze |
gldzm | small_distance_low_grey_level_emphasis | Small distance low grey level emphasis | RUVG | dzm_sdlge |
gldzm | small_distance_high_grey_level_emphasis | Small distance high grey level emphasis | DKNJ | dzm_sdhge |
gldzm | large_distance_low_grey_level_emphasis | Large distance low grey level emphasis | A7WM | dzm_ldlge |
gldzm | large_distance_high_grey_level_emphasis | Large distance high grey level emphasis | KLTH | dzm_ldhge |
gldzm | grey_level_non_uniformity | Grey level non-uniformity | VFT7 | dzm_glnu |
gldzm | normalised_grey_level_non_uniformity | Normalised grey level non-uniformity | 7HP3 | dzm_glnu_norm |
gldzm | zone_distance_non_uniformity | Zone distance non-uniformity | V294 | dzm_zdnu |
gldzm | normalised_zone_distance_non_uniformity | Normalised zone distance non-uniformity | IATH | dzm_zdnu_norm |
gldzm | zone_percentage | Zone percentage | VIWW | dzm_z_perc |
gldzm | grey_level_variance | Grey level variance | QK93 | dzm_gl_var |
gldzm | zone_distance_variance | Zone distance variance | 7WT1 | dzm_zd_var |
gldzm | zone_distance_entropy | Zone distance entropy | GBDU | dzm_zd_entr |
ngtdm | coarseness | Coarseness | QCDE | ngt_coarseness | ngtdm_Coarseness
ngtdm | contrast | Contrast | 65HE | ngt_contrast | ngtdm_Contrast
ngtdm | busyness | Busyness | NQ30 | ngt_busyness | ngtdm_Busyness
ngtdm | complexity | Complexity | HDEZ | ngt_complexity | ngtdm_Complexity
ngtdm | strength | Strength | 1X9X | ngt_strength | ngtdm_Strength
ngldm | low_dependence_emphasis | Low dependence emphasis | SODN | ngl_lde | gldm_SmallDependenceEmphasis
ngldm | high_dependence_emphasis | High dependence emphasis | IMOQ | ngl_hde | gldm_LargeDependenceEmphasis
ngldm | low_grey_level_count_emphasis | Low grey level count emphasis | TL9H | ngl_lgce | gldm_LowGrayLevelEmphasis
ngldm | high_grey_level_count_emphasis | High grey level count emphasis | OAE7 | ngl_hgce | gldm_HighGrayLevelEmphasis
ngldm | low_dependence_low_grey_level_emphasis | Low dependence low grey level emphasis | EQ3F | ngl_ldlge | gldm_SmallDependenceLowGrayLevelEmphasis
ngldm | low_dependence_high_grey_level_emphasis | Low dependence high grey level emphasis | JA6D | ngl_ldhge | gldm_SmallDependenceHighGrayLevelEmphasis
ngldm | high_dependence_low_grey_level_emphasis | High dependence low grey level emphasis | NBZI | ngl_hdlge | gldm_LargeDependenceLowGrayLevelEmphasis
ngldm | high_dependence_high_grey_level_emphasis | High dependence high grey level emphasis | 9QMG | ngl_hdhge | gldm_LargeDependenceHighGrayLevelEmphasis
ngldm | grey_level_non_uniformity | Grey level non-uniformity | FP8K | ngl_glnu | gldm_GrayLevelNonUniformity
ngldm | normalised_grey_level_non_uniformity | Normalised grey level non-uniformity | 5SPA | ngl_glnu_norm |
ngldm | dependence_count_non_uniformity | Dependence count non-uniformity | Z87G | ngl_dcnu | gldm_DependenceNonUniformity
ngldm | normalised_dependence_count_non_uniformity | Normalised dependence count non-uniformity | OKJI | ngl_dcnu_norm | gldm_DependenceNonUniformityNormalized
ngldm | dependence_count_percentage | Dependence count percentage | 6XV8 | ngl_dc_perc |
ngldm | grey_level_variance | Grey level variance | 1PFV | ngl_gl_var | gldm_GrayLevelVariance
ngldm | dependence_count_variance | Dependence count variance | DNX2 | ngl_dc_var | gldm_DependenceVariance
ngldm | dependence_count_entropy | Dependence count entropy | FCBV | ngl_dc_entr | gldm_DependenceEntropy
ngldm | dependence_count_energy | Dependence count energy | CAS9 | ngl_dc_energy |
"""


@dataclass(frozen=True)
class Feature:
    """One feature. ``key()`` is its name in results."""

    family: str
    name: str
    title: str
    ibsi: str
    tag: str
    pyradiomics: str

    @property
    def aggregations(self) -> tuple[str, ...]:
        """The aggregations that apply, empty for features that no texture matrix underlies."""
        return aggregations_of(self.family)

    def key(self, aggregation: str | None = None) -> str:
        """``<family>_<name>``, followed by ``_<aggregation>`` for texture."""
        return f"{self.family}_{self.name}" + (f"_{aggregation}" if aggregation else "")

    def ibsi_tag(self, aggregation: str | None = None) -> str:
        """The row name in IBSI's tables of reference values, such as ``cm_joint_max_3D_avg``."""
        return self.tag + (f"_{AGGREGATIONS[aggregation][1]}" if aggregation else "")


FEATURES: tuple[Feature, ...] = tuple(
    Feature(*[cell.strip() for cell in line.split("|")]) for line in _TABLE.strip().splitlines()
)


def aggregations_of(family: str) -> tuple[str, ...]:
    """The aggregations of a family: six for co-occurrence and run length, three for the others, none for the rest."""
    if family in ("glcm", "glrlm"):
        return tuple(MATRIX_AGGREGATIONS)
    if family in ("glszm", "gldzm", "ngtdm", "ngldm"):
        return tuple(ZONE_AGGREGATIONS)
    return ()


def family_features(family: str) -> tuple[Feature, ...]:
    """The features of one family, in IBSI's order."""
    return tuple(feature for feature in FEATURES if feature.family == family)


def family_keys(families: Iterable[str], aggregations: Iterable[str]) -> list[str]:
    """The result names of these families under these aggregations, in the registry's order."""
    wanted = set(aggregations)
    keys = []
    for family in families:
        applicable = [name for name in aggregations_of(family) if name in wanted]
        features = family_features(family)
        if aggregations_of(family):
            keys += [feature.key(name) for name in applicable for feature in features]
        else:
            keys += [feature.key() for feature in features]
    return keys


def registry_table() -> pd.DataFrame:
    """The documentation table: one row a feature, with IBSI identifier, tag, aggregations and PyRadiomics name."""
    return pd.DataFrame(
        [
            {
                "family": _FAMILIES[feature.family][1],
                "feature": feature.title,
                "key": feature.key(),
                "IBSI": feature.ibsi,
                "IBSI tag": feature.tag,
                "aggregations": len(feature.aggregations) or 1,
                "PyRadiomics": feature.pyradiomics,
            }
            for feature in FEATURES
        ]
    )


def aggregation_table() -> pd.DataFrame:
    """The aggregations with IBSI identifier and meaning."""
    return pd.DataFrame(
        [{"aggregation": name, "IBSI": code, "meaning": meaning} for name, (code, _, meaning) in AGGREGATIONS.items()]
    )
