"""Errors, paths, files, seeds, device and progress: what every other part of radlib stands on."""
