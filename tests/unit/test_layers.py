"""The house's walls: which room may import which, where torch may be, how long a file may be."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest
import wssamnet

PACKAGE = Path(wssamnet.__file__).parent
FILES = sorted(PACKAGE.rglob("*.py"))
# a room imports itself and the rooms of lower lines, nothing of its own line
LAYERS = (
    ("errors",),
    ("files", "geometry"),
    ("kernels",),
    ("landmarks", "images", "settings"),
    ("fields",),
    ("losses", "cohort", "simulation", "transforms"),
    ("preprocessing", "models"),
    ("training",),
    ("registration",),
    ("evaluation",),
    ("report",),
    ("pair",),
    ("api",),
    ("cli",),
)
RANK = {room: rank for rank, rooms in enumerate(LAYERS) for room in rooms}
FORBIDDEN = {
    "models": {"cohort", "simulation"},
    "evaluation": {"models", "losses", "training", "registration", "simulation"},
    "report": {"models", "losses", "training", "registration", "simulation"},
}
WITH_TORCH = {"losses", "models", "preprocessing", "training", "registration"}
LONGEST = 320


def _module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else ""


MODULES = {_module(path): path for path in FILES}


def _imports(path: Path) -> Iterator[tuple[int, str]]:
    """Every imported module with its line, those inside functions too; names of our modules in full."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: a relative import"
            base = node.module or ""
            for alias in node.names:
                name = f"{base}.{alias.name}"
                yield node.lineno, name if name in MODULES else base


def test_every_room_has_its_layer() -> None:
    assert {_room(module) for module in MODULES} - {""} <= set(RANK)


@pytest.mark.parametrize("path", FILES, ids=[_module(path) for path in FILES])
def test_imports_only_from_lower_layers(path: Path) -> None:
    room = _room(_module(path))
    for line, name in _imports(path):
        where = f"{path.relative_to(PACKAGE.parent)}:{line}: {room} imports {name}"
        if name.split(".")[0] == "torch":
            assert room in WITH_TORCH, where
        other = _room(name) if name.split(".")[0] == "wssamnet" else ""
        if not other or other == room:
            continue
        assert room, f"{where}: the package itself imports nothing"
        assert RANK[other] < RANK[room], where
        assert other not in FORBIDDEN.get(room, set()), where


@pytest.mark.parametrize("path", FILES, ids=[_module(path) for path in FILES])
def test_short_and_without_logic_in_init(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST
    assert path.stem not in ("utils", "helpers", "misc", "common")
    if path.name == "__init__.py" and _module(path) != "wssamnet.cli":  # that one holds the console script's entry
        for node in ast.parse(text).body:
            assert isinstance(node, ast.Import | ast.ImportFrom | ast.Expr | ast.Assign), f"line {node.lineno}"


def test_no_cycle() -> None:
    graph = {
        module: {name for _, name in _imports(path) if name in MODULES and name != module}
        for module, path in MODULES.items()
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"files import each other: {' → '.join(error.args[1])}")


def test_light_rooms_load_neither_torch_nor_ants() -> None:
    light = [name for name in MODULES if _room(name) not in WITH_TORCH | {""} and not name.endswith("__main__")]
    # the prepared case is what the light rooms share with the heavy ones
    light.append("wssamnet.preprocessing.prepared")
    code = (
        "import importlib, sys\n"
        f"for name in {light!r}:\n"
        "    importlib.import_module(name)\n"
        "    heavy = [m for m in ('torch', 'ants', 'voxelmorph', 'monai') if m in sys.modules]\n"
        "    if heavy: sys.exit(f'{name} loads {heavy}')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
