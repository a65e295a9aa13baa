"""The report that people read: one self-contained page, and figures for a publication."""

from wssamnet.report.page import write_report

__all__ = ["write_report"]
