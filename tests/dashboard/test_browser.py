"""The dashboard as a researcher meets it: a real server, a real browser."""

import shutil
import socket
import subprocess
import sys
import tempfile
import urllib.request
import zipfile
from collections.abc import Iterator
from time import monotonic, sleep

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By

from tests.dashboard.conftest import APP
from tests.dashboard.filling import Filler, fill_demo, store_at
from tests.dashboard.pages import HOSTILE

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
WAIT_S = 90.0

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None or DRIVER is None, reason="no chromium with chromedriver is installed"),
]


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("served")
    fill_demo(store_at(folder), planned=8)
    hostile = Filler(store_at(folder), HOSTILE, images=[HOSTILE], planned=2)
    for number, baseline in enumerate([HOSTILE, None]):
        hostile.ask(number, {"w": number + 1.0}, baseline)
        hostile.complete(number, {"w": number + 1.0})
    hostile.close()
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    flags = ["--server.address", "127.0.0.1", "--server.port", str(port), "--server.headless", "true"]
    command = [sys.executable, "-m", "streamlit", "run", str(APP), *flags, "--", "--store", store_at(folder)]
    with (folder / "server.log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        try:
            _until(lambda: _healthy(port), "the server")
            yield f"http://127.0.0.1:{port}"
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = str(CHROMIUM)
        for argument in (
            *("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--window-size=1400,900"),
            *("--disable-dev-shm-usage", "--disable-background-networking", f"--user-data-dir={profile}"),
        ):
            options.add_argument(argument)
        driver = webdriver.Chrome(options=options, service=Service(str(DRIVER)))
        try:
            yield driver
        finally:
            driver.quit()


def _healthy(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=2) as answer:
            return bool(answer.status == 200)
    except OSError:
        return False


def _until(condition, what: str) -> None:
    end = monotonic() + WAIT_S
    while not condition():
        assert monotonic() < end, f"{what} did not come within {WAIT_S:.0f} s"
        sleep(0.2)


def _body(browser: webdriver.Chrome) -> str:
    return browser.execute_script("return document.body.innerText")


def _shows(browser: webdriver.Chrome, *texts: str) -> None:
    _until(lambda: all(text in _body(browser) for text in texts), repr(texts))


def _pictures(browser: webdriver.Chrome) -> list[tuple[int, int]]:
    script = """return [...document.querySelectorAll('[data-testid=stImage] img')]
        .filter(image => image.complete).map(image => [image.naturalWidth, image.clientWidth])"""
    return [tuple(sizes) for sizes in browser.execute_script(script)]


def test_a_trial_s_pictures_are_decoded_and_a_reload_keeps_the_trial(browser, address) -> None:
    browser.get(f"{address}/trial?sweep=demo&trial=5&scale=%C2%B10.1")
    _shows(browser, "Trial 5", "signed difference, ±0.1", "restoration sweep replay demo 5", "psnr")
    _until(lambda: len(_pictures(browser)) == 8, "eight pictures")
    # 48 pixels, six times enlarged; shown at no less than half of that.
    _until(lambda: all(natural == 288 and shown >= 144 for natural, shown in _pictures(browser)), "decoded pictures")
    _until(lambda: browser.find_elements(By.CSS_SELECTOR, ".js-plotly-plot .scatterlayer"), "the curves")

    next(item for item in browser.find_elements(By.TAG_NAME, "button") if "Next" in item.text).click()
    _shows(browser, "Trial 6", "signed difference, ±0.1")
    _until(lambda: "trial=6" in browser.current_url, "the new address")
    browser.refresh()
    _shows(browser, "Trial 6", "signed difference, ±0.1", "restoration sweep replay demo 6")


def test_a_trial_s_pictures_come_as_an_archive(browser, address, tmp_path) -> None:
    browser.execute_cdp_cmd("Page.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(tmp_path)})
    browser.get(f"{address}/trial?sweep=demo&trial=5")
    _shows(browser, "Download the pictures")
    next(item for item in browser.find_elements(By.TAG_NAME, "button") if "Download" in item.text).click()
    archive = tmp_path / "demo-trial-5.zip"
    _until(lambda: archive.exists() and zipfile.is_zipfile(archive), "the archive")
    with zipfile.ZipFile(archive) as opened:
        assert "coffee-trial-5-reconstruction.png" in opened.namelist()


def test_a_filter_survives_a_reload_and_links_lead_on(browser, address) -> None:
    browser.get(f"{address}/sweep?sweep=demo")
    _shows(browser, "Best against the baselines", "Optimisation history", "8 of 8 trials")
    search = "[data-testid=stTextInput] input"
    _until(lambda: browser.find_elements(By.CSS_SELECTOR, search), "the search box")
    browser.find_element(By.CSS_SELECTOR, search).send_keys("NaN after\n")
    _shows(browser, "1 of 8 trials")
    browser.refresh()
    _shows(browser, "Best against the baselines", "1 of 8 trials")
    _until(lambda: browser.find_elements(By.PARTIAL_LINK_TEXT, "All sweeps"), "the link to all sweeps")
    browser.find_element(By.PARTIAL_LINK_TEXT, "All sweeps").click()
    _shows(browser, "Trials finished")
    assert "sweep=" not in browser.current_url


def test_stored_text_never_becomes_an_element(browser, address) -> None:
    for page in ("/", "/sweep?sweep={}", "/trial?sweep={}&trial=1", "/trial?sweep={}&trial=0"):
        browser.get(address + page.format(urllib.request.quote(HOSTILE)))
        _until(lambda: browser.find_elements(By.TAG_NAME, "h1"), page)
        if page != "/":
            _until(lambda: len(_pictures(browser)) >= 3, "pictures")
        sleep(1.0)
        assert not browser.find_elements(By.CSS_SELECTOR, "img[src='x']"), page
        # A bare address may link to itself, as Markdown has it; it never hides behind another text.
        links = browser.find_elements(By.CSS_SELECTOR, "a[href^='http://evil']")
        assert {link.get_attribute("textContent") for link in links} <= {"http://evil.example"}, page
        assert "<img src=x" in _body(browser) or page == "/"  # the table of sweeps is drawn on a canvas
