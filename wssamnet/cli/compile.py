"""``wssamnet compile``, which the set-up calls: users do not wait for a compiler in the middle of a run."""

from __future__ import annotations


def compile_kernels() -> None:
    """Compile the numeric kernels into their cache."""
    import importlib
    import pkgutil

    from wssamnet import kernels

    for module in pkgutil.iter_modules(kernels.__path__):
        importlib.import_module(f"{kernels.__name__}.{module.name}")
    compile_all = getattr(kernels, "compile_all", None)
    if compile_all is not None:
        compile_all()
