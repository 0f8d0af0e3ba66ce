"""Hand-crafted radiomic features, to the IBSI standard, and the feature sets of the papers."""
