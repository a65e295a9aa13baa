"""A registrar that is not part of this package: one class in one Python file."""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any

from wssamnet.errors import SettingsError
from wssamnet.fields import AffineMap, Chain, DisplacementField, InverseField, Transform
from wssamnet.preprocessing.prepared import PreparedCase
from wssamnet.registration.protocol import Registration

FORM = "path/to/file.py:Class"
# of ``run.json``: the run's own facts, which tables and report are made from
_OURS = frozenset(
    ("method", "case", "seconds", "device", "threads", "seed", "versions", "landmark_round_trip", "landmarks_alone")
)


def _module(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"wssamnet_own_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise SettingsError("is not a Python file", path, FORM)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up
    # the folder is the user's, and -resume asks whether it has changed
    without, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise SettingsError(f"line {error.lineno}: {error.msg}", path, "Python that can be read") from None
    except ModuleNotFoundError as error:
        raise SettingsError(f"imports {error.name}, which is not installed", path, "install it") from None
    finally:
        sys.dont_write_bytecode = without
    return module


def own_class(where: str) -> Any:
    """The class that ``file.py:Class`` names; the file is executed.

    Raises:
        SettingsError: no such file or class, or the class is no registrar.
    """
    name, colon, attribute = where.rpartition(":")
    if not colon or not name.endswith(".py") or not attribute.isidentifier():
        raise SettingsError(f"'{where}' does not name a class", "--registrar", FORM)
    path = Path(name)
    if not path.is_file():
        raise SettingsError("there is no such file", path, FORM)
    module = _module(path)
    found = getattr(module, attribute, None)
    if not inspect.isclass(found):
        classes = [
            key for key, value in vars(module).items() if inspect.isclass(value) and value.__module__ == module.__name__
        ]
        raise SettingsError(f"has no class {attribute}", path, f"it has {', '.join(classes) or 'none'}")
    lacking = [part for part in ("register", "seed", "device") if not hasattr(found, part)]
    if lacking:
        raise SettingsError(
            f"{attribute} has no {', '.join(lacking)}",
            path,
            "a method register(case), and seed and device beside it",
        )
    parameters = inspect.signature(found).parameters.values()
    some = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    needed = [one.name for one in parameters if one.default is one.empty and one.kind not in some]
    if needed:
        raise SettingsError(f"{attribute} cannot be built without {', '.join(needed)}", path, "defaults for them")
    return found


def _given_a_copy(transform: Transform) -> Transform:
    """A transform that may work in its argument: the points are needed afterwards, to subtract them."""
    if isinstance(transform, Chain):
        return Chain(tuple(map(_given_a_copy, transform.transforms)))
    if isinstance(transform, AffineMap | DisplacementField | InverseField):
        return transform
    return lambda points: transform(points.copy())


class OwnRegistrar:
    """Such a class under the name that it has in the table.

    Args:
        name: folder and column.
        where: ``file.py:Class``.

    Raises:
        SettingsError: no such file or class, or the class is no registrar.
    """

    def __init__(self, name: str, where: str) -> None:
        self.name = name
        self._registrar = own_class(where)()
        self.seed: int | None = self._registrar.seed
        self.device = str(self._registrar.device)
        self._where = f"{Path(where.rpartition(':')[0]).name}:{where.rpartition(':')[2]}"

    def register(self, case: PreparedCase) -> Registration:
        """Register one prepared case.

        Raises:
            SettingsError: the class returned something else than a `Registration`, or a record that cannot be part of
                ``run.json``.
        """
        found = self._registrar.register(case)
        if not isinstance(found, Registration):
            raise SettingsError(
                f"returned a {type(found).__name__}", self._where, "wssamnet.registration.protocol.Registration"
            )
        taken = sorted(_OURS & set(found.record))
        if taken:
            raise SettingsError(
                f"its record gives {', '.join(taken)}, which is ours to say", self._where, "other names"
            )
        try:
            json.dumps(found.record)
        except (TypeError, ValueError) as error:
            raise SettingsError(
                f"its record: {error}", self._where, "text, lists, dicts, and numbers of Python: float(x), x.tolist()"
            ) from None
        warned = found.record.get("warnings", [])
        if not isinstance(warned, str | list):
            raise SettingsError(f"its record's warnings are {warned!r}", self._where, "a text, or a list of them")
        pull_back, push_forward = map(_given_a_copy, (found.pull_back, found.push_forward))
        record = {"registrar": self._where, **found.record}
        return replace(found, pull_back=pull_back, push_forward=push_forward, record=record)
