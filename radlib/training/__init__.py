"""Training: one loop, checkpoints that resume exactly, inference, weights, bundles."""
