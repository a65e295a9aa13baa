"""A headless Chromium with the report of a small run in it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from wssamnet.report import write_report

from report_runs import finish_run

selenium = pytest.importorskip("selenium", reason="selenium is not installed: pip install -e '.[dev]'")
from selenium import webdriver  # noqa: E402
from selenium.webdriver.chrome.service import Service  # noqa: E402

WIDTHS = {"desktop": (1280, 900), "phone": (390, 844)}


class Tab:
    """A tab of the browser: the page, and what was said and asked for since it was opened."""

    def __init__(self, driver: webdriver.Chrome) -> None:
        self.driver = driver
        self.asked: list[str] = []
        self.errors: list[str] = []

    def show(self, page: Path, *, width: str = "desktop", dark: bool = False, fragment: str = "") -> None:
        """Open a page anew; the logs start with it."""
        self.driver.get("about:blank")
        self._read_logs()
        self.asked, self.errors = [], []
        across, down = WIDTHS[width]
        metrics = {"width": across, "height": down, "deviceScaleFactor": 1, "mobile": width == "phone"}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [scheme]})
        self.driver.get(page.as_uri() + fragment)

    def run(self, script: str, *arguments: Any) -> Any:
        """The value of a script's ``return``; a promise is waited for."""
        return self.driver.execute_script(script, *arguments)

    def wait(self, script: str, *arguments: Any) -> Any:
        """The first true value of a script, for at most 20 s."""
        waiting = f"""
            const done = arguments[arguments.length - 1], begin = performance.now();
            const look = () => {{
                const value = (() => {{ {script} }})();
                if (value || performance.now() - begin > 20000) done(value);
                else setTimeout(look, 30);
            }};
            look();"""
        value = self.driver.execute_async_script(waiting, *arguments)
        assert value, f"never true: {script}"
        return value

    def _read_logs(self) -> None:
        self.errors += [entry["message"] for entry in self.driver.get_log("browser")]
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                self.asked.append(message["params"]["request"]["url"])

    def addresses(self) -> list[str]:
        """What was asked for, data in the page itself left out."""
        self._read_logs()
        return [address for address in self.asked if not address.startswith("data:")]


@pytest.fixture(scope="session")
def browser() -> Iterator[webdriver.Chrome]:
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver = shutil.which("chromedriver")
    if chromium is None or driver is None:
        pytest.skip("there is no Chromium with its driver: apt-get install chromium chromium-driver")
    options = webdriver.ChromeOptions()
    options.binary_location = chromium
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    started = webdriver.Chrome(options=options, service=Service(driver))
    started.set_page_load_timeout(60)
    started.set_script_timeout(60)
    yield started
    started.quit()


@pytest.fixture
def tab(browser: webdriver.Chrome) -> Tab:
    return Tab(browser)


@pytest.fixture(scope="session")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three cases, three methods, failures; see `report_runs`."""
    run = finish_run(tmp_path_factory.mktemp("browser"))
    return write_report(run.tables, [run.evaluation], run.models, run.root / "report.html", title="A <run>")


@pytest.fixture
def viewer(tab: Tab, report: Path) -> Callable[..., Tab]:
    """Opens the report and waits for its first case's viewer."""

    def show(**options: Any) -> Tab:
        tab.show(report, **options)
        tab.wait("return document.querySelector('#case-0 .viewer canvas')?.width > 50")
        return tab

    return show
