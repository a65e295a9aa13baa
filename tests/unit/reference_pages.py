"""docs/reference.md, made from the schema of the pipeline's parameters and from the command line itself.

python tests/unit/reference_pages.py writes it anew; a test sees that it is current.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click
import typer.main
from wssamnet.cli.app import app

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "reference.md"


def parameters() -> dict[str, dict[str, Any]]:
    """Title of a group → name → entry, in the schema's order."""
    schema = json.loads((ROOT / "nextflow_schema.json").read_text(encoding="utf-8"))
    return {group["title"]: group["properties"] for group in schema["$defs"].values()}


def verbs() -> dict[str, Any]:
    """The verbs of the command line that are shown in its help."""
    group = typer.main.get_command(app)
    return {name: verb for name, verb in group.commands.items() if not verb.hidden}  # type: ignore[attr-defined]


def _cell(text: Any) -> str:
    return " ".join(str(text).split()).replace("|", "\\|")


def _allowed(entry: dict[str, Any]) -> str:
    if choices := entry.get("enum") or entry.get("x-items"):
        return ("a list of " if "x-items" in entry else "") + ", ".join(map(str, choices))
    bounds = [("minimum", "≥"), ("exclusiveMinimum", ">"), ("maximum", "≤"), ("exclusiveMaximum", "<")]
    limits = [f"{sign} {entry[name]}" for name, sign in bounds if name in entry]
    return ", ".join([entry["type"], *limits])


def _option(parameter: Any) -> str:
    if parameter.param_type_name == "argument":
        return f"`{parameter.metavar or parameter.name.upper()}`"
    return ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))


def page() -> str:
    """The whole page."""
    lines = [
        "# Reference",
        "",
        "Made from `nextflow_schema.json` and the command line by `python tests/unit/reference_pages.py`.",
        "",
        "## Parameters of the pipeline",
        "",
        "`nextflow run main.nf --NAME VALUE`, or `NAME: VALUE` in a file for `-params-file`.",
    ]
    for title, entries in parameters().items():
        lines += ["", f"### {title}", "", "| parameter | allowed | default | what it is |", "|---|---|---|---|"]
        for name, entry in entries.items():
            value = entry.get("default")
            shown = str(value).lower() if isinstance(value, bool) else value
            default = "" if shown in (None, "") else f"`{shown}`"
            best = f" (best: `{entry['x-best']}`)" if "x-best" in entry else ""
            lines.append(f"| `{name}` | {_cell(_allowed(entry))} | {default}{best} | {_cell(entry['description'])} |")
    lines += ["", "## Command line", "", "`wssamnet [--threads N] VERB …`; `wssamnet VERB --help` says the same."]
    for name, verb in verbs().items():
        lines += ["", f"### wssamnet {name}", "", _cell(verb.help or ""), "", "| option | what it is |", "|---|---|"]
        listed = [one for one in verb.params if one.name != "help" and not getattr(one, "hidden", False)]
        lines += [f"| {_option(one)} | {_cell(getattr(one, 'help', None) or '')} |" for one in listed]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
    click.echo(PAGE)
