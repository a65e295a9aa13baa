from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

from numba.core.dispatcher import Dispatcher
from wssamnet import kernels
from wssamnet.kernels.compile import compile_all
from wssamnet.kernels.stale import drop_other_sources


def test_every_kernel_is_compiled() -> None:
    compile_all()
    modules = [
        importlib.import_module(f"wssamnet.kernels.{found.name}") for found in pkgutil.iter_modules(kernels.__path__)
    ]
    entered = {
        f"{module.__name__}.{name}": value
        for module in modules
        for name, value in vars(module).items()
        if isinstance(value, Dispatcher) and value.py_func.__code__.co_varnames[:2] == ("begin", "end")
    }
    assert len(entered) > 12
    assert [name for name, kernel in entered.items() if not kernel.nopython_signatures] == []


def test_machine_code_of_other_sources_is_dropped(tmp_path: Path) -> None:
    cache = tmp_path / "__pycache__"
    cache.mkdir()
    helper, compiled = tmp_path / "helper.py", cache / "kernel.f-1.py312.nbi"
    helper.write_text("x = 1")
    compiled.touch()
    drop_other_sources(tmp_path)
    assert not compiled.exists(), "nobody knows what it was made of"
    compiled.touch()
    drop_other_sources(tmp_path)
    assert compiled.exists()
    helper.write_text("x = 2")
    drop_other_sources(tmp_path)
    assert not compiled.exists()
