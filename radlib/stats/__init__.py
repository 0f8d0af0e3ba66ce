"""Cross-validation protocols, metrics with intervals, explanations."""
