"""A real browser for the tests that are marked with it."""

import json
import shutil
from urllib.parse import urlsplit

import pytest


def chromium():
    """WebDriver: Headless Chromium that keeps a record of what it asks for; skips without one."""
    selenium = pytest.importorskip(
        'selenium.webdriver', reason="selenium is not installed: pip install '.[browser]'"
    )
    program, driver = shutil.which('chromium'), shutil.which('chromedriver')
    if not program or not driver:
        pytest.skip('no chromium and chromedriver: apt-get install chromium chromium-driver')
    options = selenium.ChromeOptions()
    options.binary_location = program
    for argument in (
        '--headless=new',
        '--no-sandbox',
        '--disable-dev-shm-usage',
        '--window-size=1200,1000',
    ):
        options.add_argument(argument)
    options.set_capability('goog:loggingPrefs', dict(performance='ALL', browser='ALL'))
    return selenium.Chrome(options, selenium.ChromeService(driver))


def asked(driver):
    """set[str]: What the browser asked for, of whatever scheme; its record is emptied."""
    entries = [json.loads(e['message'])['message'] for e in driver.get_log('performance')]
    return {
        e['params']['request']['url'] for e in entries if e['method'] == 'Network.requestWillBeSent'
    }


def servers(driver):
    """set[str]: Servers that the browser asked for anything."""
    return {urlsplit(url).hostname for url in asked(driver) if url.startswith(('http', 'ws'))}
