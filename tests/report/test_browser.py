"""The page in a browser: no complaint, nothing wider than the window, legible in the dark."""

from __future__ import annotations

import pytest

from tests.report.chromium import Chromium, needs_chromium

# Relative luminance (WCAG 2) of a computed colour.
LUMINANCE = """
(element, property) => {
  const [r, g, b] = getComputedStyle(element)[property].match(/[\\d.]+/g).slice(0, 3).map(x => x / 255)
    .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    found = Chromium(tmp_path_factory.mktemp("profile"))
    yield found
    found.close()


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_layout_and_console(browser, tanh_file, width, scheme):
    browser.open(tanh_file, width, scheme=scheme)
    assert browser.evaluate("innerWidth") == width
    assert browser.evaluate("document.documentElement.scrollWidth") <= width
    # Nothing sticks out of the window except inside boxes that scroll.
    assert (
        browser.evaluate(
            """[...document.querySelectorAll('main *')].filter(e => !e.closest('svg, .scrolled, pre, .set')
           && e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML.slice(0, 80))"""
        )
        == []
    )
    # Every figure has a size and every heading is in the page's reading order.
    assert browser.evaluate("[...document.querySelectorAll('figure svg')].every(s => s.getBoundingClientRect().height > 150)")
    assert browser.complaints == []


@needs_chromium
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_contrast_of_text_and_figures(browser, tanh_file, scheme):
    browser.open(tanh_file, 1280, scheme=scheme)
    paper = browser.evaluate(f"({LUMINANCE})(document.body, 'backgroundColor')")
    assert (paper > 0.9) if scheme == "light" else (paper < 0.05)
    for selector, wanted in (("p", 4.5), ("figcaption", 4.5), ("td", 4.5), ("a", 4.5)):
        ink = browser.evaluate(f"({LUMINANCE})(document.querySelector('main {selector}, {selector}'), 'color')")
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= wanted, selector
    # Letters of the figures inherit their colour, axes carry one of their own.
    for selector, name in (("[id*=text] use", "fill"), ("[style*='stroke: var(--figure-000000)']", "stroke")):
        ink = browser.evaluate(f"({LUMINANCE})(document.querySelector(\"figure svg {selector}\"), '{name}')")
        assert (max(ink, paper) + 0.05) / (min(ink, paper) + 0.05) >= 4.5, selector


@needs_chromium
def test_print_shows_everything_on_white(browser, tanh_file, tmp_path):
    browser.open(tanh_file, 794, scheme="dark", media="print")
    assert browser.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.evaluate("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
