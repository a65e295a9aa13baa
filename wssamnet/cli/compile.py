"""``wssamnet compile``, which the set-up calls: users do not wait for a compiler in the middle of a run."""

from __future__ import annotations

import typer


def compile_kernels() -> None:
    """Compile the numeric kernels into their cache."""
    from wssamnet.kernels.compile import compile_all

    typer.echo(f"kernels compiled in {compile_all():.0f} s", err=True)
