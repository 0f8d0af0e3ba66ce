"""Islam 2020: synthesis of missing modalities, segmentation, and survival."""
