"""Studies: jobs, the store, arms, estimates, gates."""
