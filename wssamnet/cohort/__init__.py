"""Cohorts: which files belong to which case, whether they can be used, who trains and who tests."""

from wssamnet.cohort.cases import Case, Scan, read_case
from wssamnet.cohort.checks import check_cohort, check_roles, examine_cohort
from wssamnet.cohort.layouts import read_cohort
from wssamnet.cohort.manifest import write_manifest
from wssamnet.cohort.splits import Fold, split_cases

__all__ = [
    "Case",
    "Fold",
    "Scan",
    "check_cohort",
    "check_roles",
    "examine_cohort",
    "read_case",
    "read_cohort",
    "split_cases",
    "write_manifest",
]
