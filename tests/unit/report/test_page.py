"""The page: complete, self-contained, well-formed, and the same every time."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from wssamnet.errors import WssamnetError
from wssamnet.evaluation import write_tables
from wssamnet.report import write_report

_VOID = {"meta", "link", "input", "br", "img", "hr"}


class _Page(HTMLParser):
    """Collects what a browser would act on, and whether every element is closed."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.text: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in _VOID:
            self.open.append(tag)
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._attributes(attrs)

    def handle_endtag(self, tag: str) -> None:
        assert self.open
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href"):
                self.references.append(str(value))


def _write(finished: Any, out: Path, **options: Any) -> str:
    path = write_report(finished.tables, [finished.evaluation], finished.models, out, title="A <run>", **options)
    return path.read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def page(finished: Any) -> tuple[str, _Page]:
    """The page as text, and parsed."""
    text = _write(finished, finished.root / "report.html")
    parsed = _Page()
    parsed.feed(text)
    parsed.close()
    return text, parsed


def test_nothing_is_fetched(page: tuple[str, _Page]) -> None:
    text, parsed = page
    assert len(parsed.references) > 50
    assert all(reference.startswith(("data:", "#")) for reference in parsed.references)
    assert not re.search(
        r"url\((?!#)|@import|<iframe|<object|\beval\(|Function\(|fetch\(|XMLHttpRequest|WebSocket", text
    )
    # one script of its own, which alone may run; the others are data
    assert len(re.findall(r"<script>", text)) == 1
    assert set(re.findall(r"<script([^>]*)>", text)) == {"", ' type="application/json"'}
    script = text[text.index("<script>") + 8 : text.rindex("</script>")]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'sha256-{digest}'" in text
    namespaces = ("http://www.w3.org/2000/svg", "http://www.w3.org/1999/xlink")
    assert set(re.findall(r"https?://[^\s\"'<>]+", text)) <= set(namespaces)


def test_every_reference_has_its_one_target(page: tuple[str, _Page]) -> None:
    text, parsed = page
    assert parsed.open == []
    assert len(parsed.ids) == len(set(parsed.ids))
    wanted = {reference[1:] for reference in parsed.references if reference.startswith("#")}
    wanted |= set(re.findall(r"url\(#([^)]+)\)", text)) | set(re.findall(r'for="([^"]+)"', text))
    assert wanted <= set(parsed.ids)


def test_all_methods_and_cases_are_there(page: tuple[str, _Page]) -> None:
    text, parsed = page
    words = "\n".join(parsed.text)
    for name in ("identity", "ants", "mine.co", "007", "NA", "c-x", "A <run>", "WSSAMNet", "8.37"):
        assert name in words
    assert "<run>" not in text
    # the still pictures: fixed and moving once a case, and warped and deformation for each of five registrations;
    # fixed, moving and warped around each of the ten worst landmarks
    assert len(re.findall(r'href="data:image/webp', text)) == 3 * 2 + 5 * 2 + 10 * 3
    for part in ("table1.csv", "statistics.csv", "registration (one)", "registration (two)", "t1ce, t2", "python"):
        assert part in words


def test_failures_come_first(page: tuple[str, _Page]) -> None:
    text, _ = page
    assert (
        0 < text.index("no evaluation of this case") < text.index("the method lost landmarks 7") < text.index("<main>")
    )
    # in the list, where the case is named, and where the pictures would be captioned
    assert text.count('class="tag ') == 2 + 2 + 2
    assert re.search(r"<small>n=2</small>", text)


def test_a_method_that_failed_everywhere_keeps_its_place(finished: Any, tmp_path: Path) -> None:
    plan = tmp_path / "planned.csv"
    rows = [f'voxelmorph,{case},"training failed: <not> finite"' for case in ("007", "NA", "c-x", "lost")]
    plan.write_text("\n".join(["method,case,reason", *rows, "ants,lost,diverged"]) + "\n", encoding="utf-8")
    tables = write_tables([finished.evaluation], tmp_path / "tables", planned=plan)
    text = write_report(tables, [finished.evaluation], [], tmp_path / "r.html").read_text(encoding="utf-8")
    head, main = text.split("<main>")
    assert "<b>voxelmorph, all 4 cases</b>: training failed: &lt;not&gt; finite" in head
    assert "<b>ants, lost</b>: diverged" in head
    assert "identity, ants, voxelmorph, mine.co" in head
    first = main[main.index("<tbody>") : main.index("</tr>", main.index("<tbody>"))]
    assert first.count("missing (n=0)") == 1
    assert "<tr><th>voxelmorph</th><td>0</td><td>–</td>" in main, "statistics and regularity name it, with n"
    assert "<tr><th>voxelmorph − identity</th><td>0</td>" in main
    assert "lost" in main[main.index('id="cases"') :]


def test_it_is_small_and_the_same_every_time(page: tuple[str, _Page], finished: Any, tmp_path: Path) -> None:
    text, _ = page
    assert len(text) < 400_000 + 3 * 300_000
    assert _write(finished, tmp_path / "again.html") == text


def test_a_case_carries_its_volumes(page: tuple[str, _Page]) -> None:
    text, parsed = page
    found = [json.loads(part) for part in re.findall(r'<script type="application/json">(.*?)</script>', text)]
    assert len(found) == 3
    assert [[method["name"] for method in one["methods"]] for one in found] == [
        ["ants", "mine.co"],
        ["ants"],
        ["ants", "mine.co"],
    ]
    assert all(one["landmarks"]["ids"] == list(range(1, 8)) for one in found)
    lost = found[0]["methods"][0]
    assert lost["after"][6] is None
    assert lost["warped"][6] is None
    assert {f"case-{number}" for number in range(3)} <= set(parsed.ids)


def test_what_was_run_is_said(finished: Any, tmp_path: Path) -> None:
    text = _write(finished, tmp_path / "r.html", parameters={"preset": "best", "input": "/a <folder>"})
    assert "20 × 24 × 16 of 3 × 3 × 4 mm" in text
    assert "21, 7 to 7 a case" in text
    assert '<tr><th>input</th><td class="text wrap">/a &lt;folder&gt;</td></tr>' in text


def _section(text: str) -> str:
    return text[text.index('<h2 id="where">') : text.index('<h2 id="statistics">')]


def test_it_says_where_the_error_is(page: tuple[str, _Page], finished: Any) -> None:
    section = _section(page[0])
    landmarks = pd.read_csv(finished.tables / "per_landmark.csv", keep_default_na=False, dtype={"case": str})
    landmarks["euclidean"] = pd.to_numeric(landmarks["euclidean"])
    near = pd.to_numeric(landmarks["lesion_distance_mm"]).between(10, 20, inclusive="right")
    assert near.any()
    for method in ("identity", "ants", "mine.co"):
        errors = landmarks.loc[near & (landmarks["method"] == method), "euclidean"]
        row = section[section.index(f"<tr><th>{method}</th>") :]
        cells = re.findall(r"<td[^>]*>(.*?)</td>", row[: row.index("</tr>")])
        assert cells[6:9] == [str(len(errors)), f"{errors.mean():.2f}", f"{errors.median():.2f}"]
    assert "of 21, the 7 whose case has a lesion mask" in section
    # ants and mine.co have one case in common with each other, and so has identity with both
    assert "By ants, the method with the lowest mean error of this run" in section
    assert "mm over 1 case that can be compared" in section
    own = landmarks[landmarks["method"] == "ants"].nlargest(10, "euclidean")
    listed = re.findall(r'<tr><th><a href="#case-(\d)">(.*?)</a>, (\d+)</th>', section)
    assert [(case, int(number)) for _, case, number in listed] == [
        *zip(own["case"], own["landmark"].astype(int), strict=True)
    ]
    assert all(("007", "NA", "c-x")[int(place)] == case for place, case, _ in listed)
    # a ring in the middle of each picture, a bead in those of the moving scan
    assert section.count('<circle class="at" cx="30.5" cy="30.5"') == 30
    assert section.count('r="1.2"/>') == 20


def test_without_a_lesion_nothing_is_said_of_it(finished: Any, tmp_path: Path) -> None:
    evaluations = [finished.evaluation / method / "NA" for method in ("identity", "ants")]
    tables = write_tables(evaluations, tmp_path / "tables")
    text = write_report(tables, evaluations, [], tmp_path / "r.html").read_text(encoding="utf-8")
    assert "tumour" not in _section(text)
    assert "lesion" not in text
    assert "The 7 landmarks with the largest error" in text


def test_figures_are_written_beside_it(finished: Any, tmp_path: Path) -> None:
    _write(finished, tmp_path / "report.html", figures=tmp_path / "figures")
    names = {path.name for path in (tmp_path / "figures").iterdir()}
    stems = (
        "error_by_case",
        "cumulative_error",
        "robustness_by_case",
        "regularity_by_case",
        "time_by_case",
        "worst_landmarks",
        "training_0",
        "training_1",
    )
    scatter = ("error_against_initial_ants", "error_against_initial_mine.co")
    assert names == {f"{stem}.{kind}" for stem in (*stems, *scatter) for kind in ("pdf", "svg")}
    assert (tmp_path / "figures" / "error_by_case.pdf").read_bytes().startswith(b"%PDF")
    assert all(path.stat().st_size > 2000 for path in (tmp_path / "figures").iterdir())


def test_without_models_and_pictures(finished: Any, tmp_path: Path) -> None:
    evaluation = tmp_path / "evaluation"
    shutil.copytree(finished.evaluation, evaluation)
    for path in evaluation.glob("*/*/*.npz"):
        path.unlink()
    text = write_report(finished.tables, [evaluation], [], tmp_path / "r.html").read_text(encoding="utf-8")
    assert 'id="training"' not in text
    assert 'href="data:image/webp' not in text
    assert 'application/json">' not in text
    assert "mine.co" in text


def test_variants_have_a_section_of_their_own(finished: Any, page: tuple[str, _Page], tmp_path: Path) -> None:
    assert 'id="variants"' not in page[0]
    tables = tmp_path / "tables"
    shutil.copytree(finished.tables, tables)
    heading = "variant,changes,cases,seeds,missing,mean_error,median_error,sd_seeds,robustness,folding"
    rows = ("mine,,3,2,0,2.5,2.25,0.125,0.5,0.01,0,,,,,", "mine.x<y,mi_weight=0,2,2,1,3,3,0,0.5,0,2,0.75,0.5,1,0.5,0.5")
    text = "\n".join([f"{heading},compared,difference,ci_low,ci_high,p,p_holm", *rows])
    (tables / "ablations.csv").write_text(text + "\n")
    text = write_report(tables, [finished.evaluation], [], tmp_path / "r.html").read_text(encoding="utf-8")
    section = text[text.index('<h2 id="variants">') : text.index('<h2 id="methods">')]
    assert text.index('<h2 id="statistics">') < text.index(section)
    for part in (
        "<td>2.50</td>",
        "<td>0.12</td>",
        "mine.x&lt;y",
        "<td>+0.75</td>",
        "+0.50 to +1.00",
        "2 × 2 (1 missing)",
    ):
        assert part in section
    assert "Difference: to mine, on the same cases" in section


def test_tables_of_another_run_are_refused(finished: Any, tmp_path: Path) -> None:
    with pytest.raises(WssamnetError, match="are not the tables of these evaluations"):
        write_report(finished.tables, [finished.evaluation / "ants" / "007"], [], tmp_path / "r.html")
    with pytest.raises(WssamnetError, match="is not a table"):
        write_report(tmp_path, [finished.evaluation], [], tmp_path / "r.html")
    with pytest.raises(WssamnetError, match="holds no record of a training"):
        write_report(finished.tables, [finished.evaluation], [tmp_path], tmp_path / "r.html")
    assert list(tmp_path.iterdir()) == []
