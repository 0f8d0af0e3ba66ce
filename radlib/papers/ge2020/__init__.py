"""Ge 2020: images by pairwise GANs for an IDH1 classifier."""
