"""Faults of input, each saying what is wrong, where, and how to mend it.

The command line prints them as plain lines and exits with status 2. Anything else that is
raised is a fault of the program and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path


class WssamnetError(Exception):
    """Base of every error that the user can mend.

    Args:
        what: what is wrong, without a full stop.
        where: the file, column or parameter that holds the fault.
        remedy: what would be right.
    """

    def __init__(self, what: str, where: str | Path | None = None, remedy: str | None = None) -> None:
        self.what, self.where, self.remedy = what, where, remedy
        place = f"{where}: " if where is not None else ""
        mend = f" ({remedy})" if remedy else ""
        super().__init__(f"{place}{what}{mend}")


class CohortError(WssamnetError):
    """Every problem found in a cohort, one line each.

    Args:
        problems: the single errors, or plain lines, in the order found.
    """

    def __init__(self, problems: Sequence[WssamnetError | str]) -> None:
        self.problems = tuple(str(problem) for problem in problems)
        super().__init__("\n".join(self.problems))


class GeometryError(WssamnetError):
    """A grid or an affine that cannot be used."""


class ImageError(WssamnetError):
    """An image file that cannot be read, or whose content cannot be used."""


class LandmarkError(WssamnetError):
    """A landmark file that cannot be read, or points that do not fit their image."""


class SettingsError(WssamnetError):
    """An unknown setting, or a value outside its range."""


class ModelError(WssamnetError):
    """A model folder or checkpoint that cannot be read or does not fit."""


class MissingPackageError(WssamnetError):
    """An optional package that a method needs is not installed."""


class ProcessLost(Exception):
    """Another of the processes that train together has ended; that one says why."""


class TimeIsUp(Exception):
    """A training that has saved its state because its wall time is nearly used up. No fault: started again, it goes on.

    Args:
        done: steps made.
        steps: steps in all.
        where: folder of the saved state.
    """

    EXIT_STATUS = 85

    def __init__(self, done: int, steps: int, where: Path) -> None:
        self.done, self.steps, self.where = done, steps, where
        super().__init__(f"the wall time is nearly used up after step {done} of {steps}; saved in {where}")
