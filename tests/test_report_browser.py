"""The page about a run, as a browser shows it."""

import pytest
from helpers.browser import asked
from helpers.run_folders import write_photos, write_run

from mmdpt.report import write_report


@pytest.fixture
def page(tmp_path):
    """str: The address of a report."""
    photos = tmp_path / 'photos'
    run = write_run(tmp_path / 'run', photos, write_photos(photos))
    return f'file://{write_report(str(run))[0]}'


def shown(driver, script):
    return driver.execute_script(f'return {script}')


def bright(colour):
    """float: From 0, black, to 255."""
    return sum(float(part) for part in colour.split('(')[1].rstrip(')').split(',')[:3]) / 3


def prefer(driver, scheme):
    feature = dict(name='prefers-color-scheme', value=scheme)
    driver.execute_cdp_cmd('Emulation.setEmulatedMedia', dict(features=[feature]))


@pytest.mark.browser
def test_one_file_without_network(browser, page):
    browser.get(page)
    assert {url for url in asked(browser) if not url.startswith('data:')} == {page}
    assert not browser.get_log('browser')  # neither errors nor warnings
    pictures = browser.find_elements('css selector', 'img')
    assert pictures
    eager = "i => { i.loading = 'eager'; return i.decode(); }"
    drawn = f'Promise.all([...document.images].map({eager})).then(all => all.length)'
    assert shown(browser, drawn) == len(pictures)  # else an error
    assert shown(browser, '[...document.images].every(i => i.alt.length > 0)')
    links = shown(browser, '[...document.querySelectorAll("a")].map(a => a.hash)')
    assert links and all(shown(browser, f'!!document.querySelector("{link}")') for link in links)


@pytest.mark.browser
@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_both_schemes_can_be_read(browser, page, scheme):
    prefer(browser, scheme)
    browser.get(page)
    ground, ink = (
        bright(shown(browser, f'getComputedStyle(document.body).{part}'))
        for part in ('backgroundColor', 'color')
    )
    assert (ground > ink) == (scheme == 'light') and abs(ground - ink) > 150


@pytest.mark.browser
@pytest.mark.parametrize('width', [360, 1200])
def test_nothing_is_wider_than_the_screen(browser, page, width):
    size = dict(width=width, height=800, deviceScaleFactor=1, mobile=width < 500)
    browser.execute_cdp_cmd('Emulation.setDeviceMetricsOverride', size)
    browser.get(page)
    assert shown(browser, 'document.documentElement.scrollWidth') <= width


@pytest.mark.browser
def test_the_keyboard_reaches_the_content(browser, page):
    from selenium.webdriver.common.keys import Keys

    browser.get(page)
    browser.find_element('css selector', 'body').send_keys(Keys.TAB)
    assert shown(browser, 'document.activeElement.className') == 'skip'
    for details in browser.find_elements('css selector', 'details'):
        summary = details.find_element('css selector', 'summary')
        before = details.get_attribute('open')
        summary.send_keys(Keys.ENTER)
        assert details.get_attribute('open') != before
