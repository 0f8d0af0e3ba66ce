"""The trained networks and models applied to one's own patients: ``radlib predict``."""
