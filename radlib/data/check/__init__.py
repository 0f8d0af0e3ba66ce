"""``radlib data check``: finds and names every problem of a data set on disk."""

from radlib.data.check.run import check_dataset, check_datasets
from radlib.data.findings import KINDS, CheckReport, Finding

__all__ = ["KINDS", "CheckReport", "Finding", "check_dataset", "check_datasets"]
