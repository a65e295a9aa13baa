"""One pair of scans, no cohort: the pipeline's own preparation and refinement, and what one wants to see of it."""

from wssamnet.pair.register import PairRegistration, register_pair

__all__ = ["PairRegistration", "register_pair"]
