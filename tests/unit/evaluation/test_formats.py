"""A table as text: Markdown and LaTeX, aligned and escaped."""

from __future__ import annotations

from wssamnet.evaluation.formats import latex, markdown


def test_markdown_is_aligned_and_escaped() -> None:
    text = markdown(["a|b", "x"], [("row", ["1.00", "2"])], ["a note"])
    lines = text.splitlines()
    assert len({len(line) for line in lines[:3]}) == 1
    assert lines[0] == r"|     | a\|b |   x |"
    assert lines[1] == "|-----|-----:|----:|"
    assert lines[-1] == "- a note"


def test_latex_is_escaped_and_complete() -> None:
    text = latex(["my_method", "ANTs (paper, 20 pairs)"], [("share, %", ["1 & 2", "–"])], ["50 % of <n>"])
    assert r"my\_method & \shortstack[r]{ANTs \\ paper \\ 20 pairs} \\" in text
    assert r"share, \% & 1 \& 2 & -- \\" in text
    assert text.count(r"\begin{tabular}{lrr}") == text.count(r"\end{tabular}") == 1
