"""How slugs are written for readers: one table, so that a modality or a metric has one name in the whole book."""

from __future__ import annotations

#: Modalities, and the segmentation beside them.
MODALITY_TITLES: dict[str, str] = {"t1": "T1", "t1ce": "T1ce", "t2": "T2", "flair": "FLAIR", "seg": "segmentation"}

#: Regions of a tumour.
REGION_TITLES: dict[str, str] = {"et": "enhancing tumour", "wt": "whole tumour", "tc": "tumour core"}

#: Metrics of classification, segmentation and synthesis.
METRIC_TITLES: dict[str, str] = {
    "auc": "AUC",
    "accuracy": "Accuracy",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "PPV",
    "npv": "NPV",
    "mcc": "MCC",
    "balanced_accuracy": "Balanced accuracy",
    "brier": "Brier score",
    "dice": "Dice",
    "iou": "IOU",
    "hd95": "HD95 (mm)",
    "lesion_dice": "Dice by lesion",
    "lesion_hd95": "HD95 by lesion (mm)",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
}


def title(slug: str) -> str:
    """The title of a modality, a region or a metric; the slug itself where it has none."""
    for table in (MODALITY_TITLES, METRIC_TITLES):
        if slug in table:
            return table[slug]
    return slug.upper() if slug in REGION_TITLES else slug
