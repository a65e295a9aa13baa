"""A table, its figures and p values, as text: Markdown and LaTeX."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

Body = Sequence[tuple[str, Sequence[str]]]

_LATEX = {
    "\\": r"\textbackslash{}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "–": "--",
}


def markdown(headings: Sequence[str], body: Body, notes: Sequence[str]) -> str:
    """A pipe table whose columns are aligned as plain text too, with the notes as a list beneath.

    Args:
        headings: one a column, without the first (the rows' labels).
        body: label and cells of each row.
        notes: lines.
    """
    rows = [["", *headings], *([label, *cells] for label, cells in body)]
    rows = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    widths = [max(3, *(len(row[index]) for row in rows)) for index in range(len(rows[0]))]
    lines = [_line(rows[0], widths)]
    lines.append("|" + "|".join("-" * (w + 1) + (":" if index else "-") for index, w in enumerate(widths)) + "|")
    lines += [_line(row, widths) for row in rows[1:]]
    return "\n".join([*lines, "", *(f"- {note}" for note in notes)]) + "\n"


def _line(row: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = row
    others = [cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)]
    return "| " + " | ".join([first.ljust(widths[0]), *others]) + " |"


def latex_escape(text: str) -> str:
    """Text with LaTeX's special characters made harmless."""
    return "".join(_LATEX.get(character, character) for character in text)


def latex(headings: Sequence[str], body: Body, notes: Sequence[str]) -> str:
    """A ``tabular`` for the booktabs package, the notes as comments above it; arguments as for `markdown`."""
    lines = [f"% {' '.join(note.split())}" for note in notes]  # a line break would end the comment
    lines += [r"% needs \usepackage{booktabs}", r"\begin{tabular}{l" + "r" * len(headings) + "}", r"\toprule"]
    lines.append(" & ".join(["", *(_stacked(heading) for heading in headings)]).strip() + r" \\")
    lines.append(r"\midrule")
    lines += [" & ".join(latex_escape(cell) for cell in (label, *cells)) + r" \\" for label, cells in body]
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}"]) + "\n"


def _stacked(heading: str) -> str:
    """A heading with what stands in brackets on lines of its own, so that columns stay narrow."""
    name, _, rest = heading.partition(" (")
    parts = [name, *(part.strip() for part in rest.rstrip(")").split(","))] if rest else [name]
    if len(parts) == 1:
        return latex_escape(name)
    return r"\shortstack[r]{" + r" \\ ".join(latex_escape(part) for part in parts) + "}"


def probability(value: float | None) -> str:
    """A p value as text: a small one is not 0, and one that is not known a dash."""
    if value is None or np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def cell_text(value: float | None, n: int | None, decimals: int, cases: int) -> str:
    """One figure as printed: a dash where nothing applies, "missing" where it should have been."""
    if value is None:
        return "–" if n is None else "missing (n=0)"
    text = f"{value:.{decimals}f}"
    return text if n is None or n == cases else f"{text} (n={n})"
