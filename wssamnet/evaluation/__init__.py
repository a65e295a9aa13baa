"""Judging registrations by landmarks, regularity and time; reads files only, knows no method."""

from wssamnet.evaluation.case import evaluate_case
from wssamnet.evaluation.tables import write_tables

__all__ = ["evaluate_case", "write_tables"]
