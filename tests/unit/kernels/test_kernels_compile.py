from __future__ import annotations

import importlib
import pkgutil

from numba.core.dispatcher import Dispatcher
from wssamnet import kernels
from wssamnet.kernels.compile import compile_all


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
