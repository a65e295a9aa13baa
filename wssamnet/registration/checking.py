"""What can be known about the methods before any work: packages, registrars of one's own, other tools' results."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from wssamnet.cohort import Case
from wssamnet.errors import CohortError, SettingsError, WssamnetError
from wssamnet.registration.external import check_external
from wssamnet.registration.external_files import ExternalFiles
from wssamnet.registration.methods import check_installed, check_name
from wssamnet.registration.own import own_class

Named = Sequence[tuple[str, str]]


def check_methods(
    methods: Sequence[str], own: Named, external: Named, cases: Sequence[Case]
) -> list[tuple[str, ExternalFiles]]:
    """Judge everything and tell all problems at once; nothing is written.

    Args:
        methods: those whose packages have to be installed.
        own: (name, ``file.py:Class``) of registrars that are not ours.
        external: (name, folder) of other tools' results.
        cases: those that the methods will be judged on.

    Returns:
        (name, files) for every case that another tool has.

    Raises:
        CohortError: every problem, one line each.
    """
    names = [name for name, _ in (*own, *external)]
    problems = [
        str(SettingsError(f"'{name}' is given twice", "--registrar, --external", "every name once"))
        for name in sorted({name for name in names if names.count(name) > 1})
    ]
    found: list[tuple[str, ExternalFiles]] = []
    for method in methods:
        try:
            check_installed([method])
        except WssamnetError as error:
            problems.append(str(error))
    for name, where in own:
        try:
            check_name(name, "--registrar")
            own_class(where)
        except WssamnetError as error:
            problems.append(str(error))
    for name, folder in external:
        try:
            check_name(name, "--external")
            found += [(name, files) for files in check_external(Path(folder), cases)]
        except WssamnetError as error:
            problems += str(error).splitlines()
    if problems:
        raise CohortError(problems)
    return found
