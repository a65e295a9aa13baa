"""``wssamnet settings``"""

from __future__ import annotations

import typer


def settings() -> None:
    """Print every setting with its value in each preset."""
    from wssamnet.settings import PRESETS, Settings, make_settings

    presets = {name: make_settings(name) for name in PRESETS}
    width = max(map(len, Settings.model_fields))
    typer.echo(f"{'':{width}}  " + "  ".join(f"{name:>10}" for name in presets))
    for name, field in Settings.model_fields.items():
        values = (getattr(preset, name) for preset in presets.values())
        texts = (",".join(value) if isinstance(value, tuple) else str(value) for value in values)
        typer.echo(f"{name:{width}}  " + "  ".join(f"{text:>10}" for text in texts) + f"  {field.description}")
