"""The report in a real browser: its controls work, and nothing is fetched."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.timeout(180)

# the picture of a plane of the first case, as data to compare
PIXELS = "return document.querySelector(`#case-0 [data-plane=${arguments[0]}] canvas`).toDataURL()"
CHOOSE = """
    const value = arguments[1] ? `[value=${arguments[1]}]` : '';
    document.querySelector(`#case-0 .choice input[name$=${arguments[0]}]${value}`).click();
"""
SLIDE = """
    const slider = document.querySelector(`#case-0 [data-plane=${arguments[0]}] input`);
    slider.value = Number(slider.value) + arguments[1];
    slider.dispatchEvent(new Event('input', {bubbles: true}));
"""
SLIDE_TO_THE_MIDDLE = """
    for (const slider of document.querySelectorAll('#case-0 .pane input')) {
        slider.value = Math.round(slider.max / 2);
        slider.dispatchEvent(new Event('input', {bubbles: true}));
    }
"""
METHOD = """
    const select = document.querySelector('#case-0 select');
    select.value = arguments[0];
    select.dispatchEvent(new Event('change', {bubbles: true}));
"""
METHOD_SHOWN = "return document.querySelector('#case-0 canvas').ariaLabel.includes(arguments[0])"
MARKS = "return [...document.querySelectorAll('#case-0 .mark title')].map((title) => title.textContent)"


@pytest.mark.parametrize("width", ["desktop", "phone"])
@pytest.mark.parametrize("dark", [False, True])
def test_nothing_is_fetched_said_or_too_wide(viewer: Callable[..., Any], report: Path, width: str, dark: bool) -> None:
    tab = viewer(width=width, dark=dark)
    for number in (1, 2):
        tab.run(f"document.querySelector('#case-{number} > summary').click()")
        tab.wait(f"return document.querySelector('#case-{number} .viewer canvas')?.width > 50")
    assert tab.addresses() == [report.as_uri()]
    assert tab.errors == []
    assert tab.run("return document.documentElement.scrollWidth <= innerWidth")
    dim, ink = tab.run(
        "const style = getComputedStyle(document.body); return [style.backgroundColor, style.color]"
        ".map((colour) => colour.match(/\\d+/g).slice(0, 3).reduce((sum, part) => sum + Number(part), 0) / 3)"
    )
    assert (dim < 60 and ink > 200) if dark else (dim > 240 and ink < 60)


def test_a_fetch_would_be_noticed_and_refused(tab: Any, report: Path, tmp_path: Path) -> None:
    page = tmp_path / "spoilt.html"
    text = report.read_text(encoding="utf-8")
    page.write_text(text.replace("</body>", '<img src="http://127.0.0.1:9/x.png"></body>'), encoding="utf-8")
    tab.show(page)
    tab.addresses()
    assert any("Content Security Policy" in error for error in tab.errors)


def test_a_slider_changes_its_plane_alone(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    before = {plane: tab.run(PIXELS, plane) for plane in ("axial", "coronal", "sagittal")}
    caption = "return document.querySelector('#case-0 [data-plane=coronal] figcaption').textContent"
    said = tab.run(caption)
    tab.run(SLIDE, "coronal", -5)
    assert tab.run(PIXELS, "coronal") != before["coronal"]
    assert tab.run(PIXELS, "axial") == before["axial"]
    assert tab.run(PIXELS, "sagittal") == before["sagittal"]
    assert tab.run(caption) != said
    tab.run(SLIDE, "coronal", 5)
    assert tab.run(PIXELS, "coronal") == before["coronal"]


def test_every_comparison_shows_something_else(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    seen = set()
    for show in ("fixed", "moving", "warped", "swipe", "checkerboard", "difference"):
        tab.run(CHOOSE, "show", show)
        seen.add(tab.run(PIXELS, "axial"))
    assert len(seen) == 6
    tab.run(CHOOSE, "show", "fixed")
    fixed = tab.run(PIXELS, "axial")
    tab.run(CHOOSE, "show", "flicker")
    up = "return document.querySelector('#case-0 [data-plane=axial] .up').textContent === arguments[0]"
    tab.wait(up, "warped")
    tab.wait(up, "fixed")
    assert tab.run(PIXELS, "axial") == fixed


def test_the_swipe_goes_from_fixed_to_warped(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    whole = {}
    for show in ("fixed", "warped"):
        tab.run(CHOOSE, "show", show)
        whole[show] = tab.run(PIXELS, "axial")
    assert tab.run("return document.querySelector('#case-0 .split').hidden")
    tab.run(CHOOSE, "show", "swipe")
    assert not tab.run("return document.querySelector('#case-0 .split').hidden")
    move = """const input = document.querySelector('#case-0 .split input'); input.value = arguments[0];
        input.dispatchEvent(new Event('input', {bubbles: true}));"""
    for where, shown in ((1, "fixed"), (0, "warped")):
        tab.run(move, where)
        assert tab.run(PIXELS, "axial") == whole[shown]


def test_another_method_brings_its_image_and_errors(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    pictures, words = {}, {}
    for method in ("ants", "mine.co", "before registration"):
        tab.run(METHOD, method)
        tab.wait(METHOD_SHOWN, method)
        pictures[method] = tab.run(PIXELS, "axial")
        words[method] = tab.run(MARKS)
        assert words[method]
    assert len(set(pictures.values())) == 3
    assert all(" after" in title for title in words["mine.co"])
    assert not any(" after" in title for title in words["before registration"])
    disabled = "return [...document.querySelectorAll('#case-0 [data-needs=field]')].map((input) => input.disabled)"
    assert tab.run(disabled) == [True, True]
    tab.run(METHOD, "ants")
    tab.wait(METHOD_SHOWN, "ants")
    assert tab.run(disabled) == [False, False]


def test_landmarks_are_where_the_errors_say(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    tab.run(METHOD, "mine.co")
    tab.wait(METHOD_SHOWN, "mine.co")
    content = tab.run("return JSON.parse(document.querySelector('#case-0 script').textContent)")
    marks = content["landmarks"]
    method = next(one for one in content["methods"] if one["name"] == "mine.co")
    tab.run("document.querySelector('#case-0 .landmarks').open = true")
    tab.run("document.querySelector('#case-0 .landmarks button[data-landmark=\"3\"]').click()")
    place, error = marks["fixed"][2], method["after"][2]
    for plane, across, down in (("axial", 0, 1), ("coronal", 0, 2), ("sagittal", 1, 2)):
        ring = tab.run(
            "const mark = document.querySelector(`#case-0 [data-plane=${arguments[0]}] .chosen[data-landmark='3']`);"
            "const ring = mark.querySelector('.place');"
            "return [ring.cx.baseVal.value, ring.cy.baseVal.value, mark.querySelector('title').textContent]",
            plane,
        )
        assert ring[:2] == pytest.approx([place[across], place[down]], abs=0.01)
        assert f"{error:.2f} mm after" in ring[2]
    tab.run(CHOOSE, "landmarks", "")
    assert tab.run(MARKS) == []


def test_the_grid_and_the_jacobian_are_drawn_over_it(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    tab.run(METHOD, "mine.co")
    tab.wait(METHOD_SHOWN, "mine.co")
    tab.run(SLIDE_TO_THE_MIDDLE)
    plain = tab.run(PIXELS, "axial")
    seen = {plain}
    for overlay in ("grid", "jacobian"):
        tab.run(CHOOSE, overlay, "")
        seen.add(tab.run(PIXELS, "axial"))
        tab.run(CHOOSE, overlay, "")
        assert tab.run(PIXELS, "axial") == plain
    assert len(seen) == 3
    # 15 % more, to the next of 16 steps to double
    assert "det J here: 1.14" in tab.run("return document.querySelector('#case-0 .here').textContent")


def test_a_click_moves_the_other_planes_there(viewer: Callable[..., Any]) -> None:
    tab = viewer()
    tab.run("""
        const stage = document.querySelector('#case-0 [data-plane=axial] .stage'), box = stage.getBoundingClientRect();
        const at = {clientX: box.left + box.width / 4, clientY: box.top + 3 * box.height / 4};
        stage.dispatchEvent(new PointerEvent('pointerdown', {bubbles: true, ...at}));
    """)
    read = "const s = document.querySelector(`#case-0 [data-plane=${arguments[0]}] input`); return s.value / s.max"
    assert tab.run(read, "sagittal") == pytest.approx(0.25, abs=0.05)
    assert tab.run(read, "coronal") == pytest.approx(0.75, abs=0.05)


def test_it_goes_by_keyboard(viewer: Callable[..., Any]) -> None:
    from selenium.webdriver import Keys

    tab = viewer()
    named = """return [...document.querySelectorAll('#case-0 :is(input, select, button)')].every((control) =>
        control.ariaLabel || control.textContent || control.labels?.[0]?.textContent)"""
    assert tab.run(named)
    slider = tab.driver.find_element("css selector", "#case-0 [data-plane=axial] input")
    before, value = tab.run(PIXELS, "axial"), int(slider.get_attribute("value"))
    slider.send_keys(Keys.ARROW_LEFT)
    assert int(slider.get_attribute("value")) == value - 1
    assert tab.run(PIXELS, "axial") != before
    slider.send_keys("f")
    assert tab.run("return document.querySelector('#case-0 .up').textContent") == "fixed"
    slider.send_keys("f")
    assert tab.run("return document.querySelector('#case-0 .up').textContent") == "warped"
    summary = tab.driver.find_element("css selector", "#case-1 > summary")
    summary.send_keys(Keys.ENTER)
    tab.wait("return document.querySelector('#case-1 .viewer canvas')?.width > 50")


def test_viewers_are_built_when_opened_and_go_when_closed(viewer: Callable[..., Any], report: Path) -> None:
    tab = viewer()
    count = "return document.querySelectorAll('.viewer').length"
    assert tab.run(count) == 1
    tab.run("document.querySelector('a[href=\"#case-2\"]').click()")
    tab.wait("return document.querySelector('#case-2 .viewer')")
    assert tab.run(count) == 2
    tab.run("document.querySelector('#case-2 > summary').click()")
    tab.wait("return !document.querySelector('#case-2 .viewer')")
    tab.show(report, fragment="#case-1")
    tab.wait("return document.querySelector('#case-1 .viewer')")


def test_without_javascript_and_on_paper_there_are_still_pictures(tab: Any, report: Path) -> None:
    shown = """return [...document.querySelectorAll('#case-0 .stills image')].filter((image) => image.checkVisibility()
        && image.getBoundingClientRect().width > 50).length"""
    tab.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    try:
        tab.show(report)
        assert tab.run(shown) == 6
    finally:
        tab.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
    tab.show(report)
    tab.wait("return document.querySelector('#case-0 .viewer')")
    assert tab.run(shown) == 0
    tab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert tab.run(shown) == 6
        assert not tab.run("return document.querySelector('.viewer').checkVisibility()")
        pdf = base64.b64decode(tab.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    finally:
        tab.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
    assert pdf.startswith(b"%PDF")
    assert len(pdf) > 50_000
