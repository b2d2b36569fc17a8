"""Pages in a real browser: they load alone, draw every chart, and can be used without a mouse."""

from __future__ import annotations

import base64
from collections.abc import Callable
from typing import Any

import pytest
from render import comparisons, profiles, shape_reports, summaries
from render.html.hostile import MARKUP, everything, summary

from blocktool.render.html import render_together
from blocktool.render.view import View

Show = Callable[..., Any]

MARKS = """[...document.querySelectorAll('.drawing')].map((area) => [
    area.closest('figure').id,
    [...area.querySelectorAll('.slice path, .point path, .points path, .lines path, .js-fill')]
        .filter((mark) => mark.getBBox().width + mark.getBBox().height > 0).length])"""
"""Of each chart, how many marks of it can be seen."""

REPORTS = {
    "summary": summary,
    "profile": profiles.by_module,
    "variants": profiles.variants,
    "check-shapes": shape_reports.broken,
    "comparison": comparisons.widened,
    "measured": comparisons.profiled,
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_page_loads_alone_draws_its_charts_and_fits_a_telephone(show: Show, name: str):
    page = show(REPORTS[name](), width=360)
    assert page.complaints() == []
    assert page.ask("performance.getEntriesByType('resource').length") == 0
    drawn = dict(page.ask(MARKS))
    assert drawn, "there is no chart"
    assert [chart for chart, marks in drawn.items() if not marks] == []
    assert page.ask("document.documentElement.scrollWidth") <= 360


def test_a_wide_table_scrolls_in_its_box_beside_its_names(show: Show):
    page = show(profiles.variants(), width=1100)
    box = "document.querySelector('.scroll[aria-label*=cases]')"
    edges = f"{box}.querySelector('tbody th').getBoundingClientRect().left"
    assert page.ask(f"{box}.scrollWidth > {box}.clientWidth")
    assert page.ask("document.documentElement.scrollWidth <= innerWidth")
    before = page.ask(edges)
    page.driver.execute_script(f"{box}.scrollLeft = 9999")
    last = f"{box}.querySelector('tbody tr').lastElementChild.getBoundingClientRect().right"
    assert page.ask(f"{last} <= {box}.getBoundingClientRect().right + 1")
    assert page.ask(edges) == before


def test_the_policy_forbids_the_network(show: Show):
    page = show(profiles.small())
    asked = "fetch('https://example.com/').then(() => 'got it', (error) => error.name)"
    done = "const tell = arguments[0]; " + asked + ".then(tell)"
    assert page.driver.execute_async_script(done) == "TypeError"
    assert any("Content Security Policy" in text for text in page.complaints())
    page.ask("document.body.append(Object.assign(document.createElement('script'), "
             "{textContent: 'window.foreign = 1'}))")  # fmt: skip
    assert page.ask("window.foreign === undefined")


def test_names_are_text_wherever_they_stand(browser: Any):
    reports = everything()
    browser.complaints()
    browser.show(render_together(list(reports.values()), list(reports), View()))
    assert browser.complaints() == []
    assert browser.ask("document.querySelectorAll('[src], [onerror], [href]:not([href^=\"#\"])')"
                       ".length") == 0  # fmt: skip
    # The data, plotly twice (as text, and as it runs) and our own script: none is of a name.
    assert browser.ask("document.scripts.length") == 4
    assert "<script>alert(1)</script>" in browser.ask("document.querySelector('h1').textContent")
    for place in ("th[scope=row]", "figcaption", ".notes li", ".items p", ".legend", "code",
                  ".drawing text", "pre", "caption"):  # fmt: skip
        found = browser.ask(f"[...document.querySelectorAll('{place}')].some("
                            "(each) => each.textContent.includes('<script>alert(1)'))")  # fmt: skip
        assert found, f"no {place} has the name"
    assert MARKUP.startswith("<script>alert(1)")
    assert [chart for chart, marks in browser.ask(MARKS) if not marks] == []


def test_another_figure_is_drawn(show: Show):
    page = show(summaries.backbone())
    heights = (
        "[...document.querySelectorAll('#modules-chart .slice path')].map("
        "(each) => Math.round(each.getBBox().height))"
    )
    before, told = (
        page.ask(heights),
        page.ask("document.querySelector('#modules-chart figcaption').textContent"),
    )
    page.ask("document.querySelectorAll('#modules-chart input.variant')[1].click()")
    after = page.ask(heights)
    assert before != after
    assert "Parameters: 56.420 K" in told
    said = page.ask("document.querySelector('#modules-chart figcaption').textContent")
    assert "MACs: 12.000 M" in said


def test_an_icicle_is_narrowed_by_a_list_and_by_a_click(show: Show):
    page = show(summaries.backbone())
    labels = (
        "[...document.querySelectorAll('#modules-chart .slice')].map("
        "(each) => each.textContent).join(' ')"
    )
    assert "stem" in page.ask(labels)
    page.driver.execute_script(
        "const list = document.querySelector('#modules-chart .start');"
        "list.value = [...list.options].find((each) => each.text.trim() === 'stage').value;"
        "list.dispatchEvent(new Event('change'))"
    )
    assert "stem" not in page.ask(labels)
    assert "1-4 ×4" in page.ask(labels)
    # A click on the outermost part leads out again.
    page.driver.execute_script(
        "document.querySelector('#modules-chart .slice').dispatchEvent("
        "new MouseEvent('click', {bubbles: true, view: window}))"
    )
    page.wait_for(f"{labels}.includes('stem')")
    assert page.ask("document.querySelector('#modules-chart .start').value") == "0"


def test_the_theme_is_that_of_the_system_or_the_one_chosen(show: Show):
    back = "getComputedStyle(document.documentElement).backgroundColor"
    ink = "document.querySelector('#samples-chart text').style.fill"
    page = show(profiles.single(), scheme="dark")
    dark = page.ask(f"[{back}, {ink}]")
    page.resize(1280, "light")
    page.wait_for(f"{ink} !== '{dark[1]}'")  # the browser tells the page when it is ready to
    light = page.ask(f"[{back}, {ink}]")
    assert light[0] == "rgb(255, 255, 255)" != dark[0]
    choose = (
        "const list = document.getElementById('page-theme'); list.value = arguments[0];"
        "list.dispatchEvent(new Event('change'))"
    )
    page.driver.execute_script(choose, "dark")
    assert page.ask(f"[{back}, {ink}]") == dark
    page.driver.refresh()
    page.until_drawn()
    assert page.ask(f"[{back}, {ink}]") == dark
    page.driver.execute_script(choose, "auto")
    assert page.ask(f"[{back}, {ink}]") == light


def test_the_keyboard_reaches_and_works_everything(show: Show):
    from selenium.webdriver.common.keys import Keys

    page = show(summaries.backbone())
    here = "document.activeElement"
    page.press(Keys.TAB)
    assert page.ask(f"{here}.className") == "skip"
    assert page.ask(f"{here}.getBoundingClientRect().left") >= 0
    seen: list[str] = []
    for _ in range(60):
        page.press(Keys.TAB)
        name = page.ask(f"{here}.className || {here}.tagName")
        assert page.ask(f"getComputedStyle({here}).outlineStyle") != "none", name
        if name == "variant" and "variant" not in seen:
            page.press(Keys.ARROW_RIGHT)
            assert page.ask("document.querySelector('#modules-chart input:checked').value") == "1"
        if name == "sort" and "sort" not in seen:
            page.press(Keys.ENTER)
            assert page.ask(f"{here}.parentElement.getAttribute('aria-sort')") == "ascending"
        if name == "twist" and "twist" not in seen:
            shown = (
                "[...document.querySelectorAll('.tree tbody tr')].filter((r) => !r.hidden).length"
            )
            before = page.ask(shown)
            page.press(Keys.ENTER)
            assert page.ask(f"{here}.getAttribute('aria-expanded')") == "false"
            assert page.ask(shown) == 1 < before
            page.press(Keys.SPACE)
            assert page.ask(shown) == before
        seen.append(name)
        if name == "SUMMARY":
            break
    assert {"variant", "start", "open-all", "sort", "twist", "scroll tall", "SUMMARY"} <= set(seen)


def test_modules_are_filtered_and_ordered(show: Show):
    page = show(summaries.backbone())
    rows = (
        "[...document.querySelectorAll('.tree tbody tr')].filter((row) => !row.hidden)"
        ".map((row) => row.dataset.p || '')"
    )
    page.driver.execute_script(
        "const box = document.querySelector('.tree input'); box.value = 'stage.3';"
        "box.dispatchEvent(new Event('input'))"
    )
    assert page.ask(rows) == ["", "stage", "stage.3", "stage.3.conv1", "stage.3.conv2"]
    page.driver.execute_script(
        "const box = document.querySelector('.tree input'); box.value = '';"
        "box.dispatchEvent(new Event('input'));"
        "document.querySelector('.close-all').click();"
        "document.querySelector('.tree .twist').click();"
        "document.querySelectorAll('.tree .sort')[3].click()"
    )
    assert page.ask(rows) == ["", "stage", "stem", "head", "auxiliary"]


def test_a_print_is_light_wide_as_the_page_and_has_the_data(show: Show):
    page = show(profiles.single(), scheme="dark")
    page.driver.execute_script(
        "addEventListener('beforeprint', () => { window.printed = ["
        "document.documentElement.dataset.theme,"
        "document.querySelectorAll('details:not([open])').length,"
        "document.querySelector('.main-svg').getAttribute('width')]; })"
    )
    made = page.driver.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})
    assert base64.b64decode(made["data"]).startswith(b"%PDF-")
    assert page.ask("window.printed") == ["light", 0, "660"]
    assert page.ask("document.documentElement.dataset.theme === undefined")
    assert page.ask("document.querySelectorAll('details[open]').length") == 0
    assert page.complaints() == []
