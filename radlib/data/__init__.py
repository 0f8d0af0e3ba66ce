"""Manifests, cohorts, readers, checks and splits. Nothing here knows a model."""
