"""Li 2017: segmentation by patches, Fisher vectors of its feature maps, and IDH1 prediction."""
