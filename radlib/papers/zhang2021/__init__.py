"""Zhang 2021: features from turning modalities into each other, and their fusion for segmentation."""
