"""One reader a source. Each turns files as their publisher ships them into a :class:`radlib.data.cohort.Cohort`."""
