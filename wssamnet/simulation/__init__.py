"""The embedded cohort: real anatomy, tumour and mass effect, resection, contrast change, known truth."""

from wssamnet.simulation.cohort import write_cohort

__all__ = ["write_cohort"]
