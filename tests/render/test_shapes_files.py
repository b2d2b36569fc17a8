"""CSV, Markdown and GitHub's workflow commands, each read as its reader would."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable

import pytest
from render.readers import Page, read_command
from render.shape_reports import HOSTILE, broken, case, catalog, hostile, proved, report, varied

from blocktool.render import shapes_csv, shapes_github, shapes_markdown
from blocktool.render.formats import choose_format, formats_of, renderer
from blocktool.render.view import View
from blocktool.results.shapes import Failed, Finding, ShapeReport

Make = Callable[[], ShapeReport]
_MAKERS = {"catalog": catalog, "broken": broken, "proved": proved, "hostile": hostile}


def test_the_formats():
    wanted = ("table", "json", "markdown", "junit", "github", "csv", "html")
    assert formats_of("check-shapes") == wanted
    for name in wanted:
        assert "net.py:Net" in renderer("check-shapes", name)(broken(), View()).replace("%3A", ":")
    assert choose_format("check-shapes", None, "out/junit.xml") == "junit"
    assert choose_format("check-shapes", None, "shapes.md") == "markdown"


@pytest.mark.parametrize("name", _MAKERS)
def test_markdown(name: str, snapshot: Callable[[str, str], None]):
    snapshot(f"shapes-{name}.md", shapes_markdown.render(_MAKERS[name](), View()))


def _page(make: Make) -> Page:
    return Page(shapes_markdown.render(make(), View()))


@pytest.mark.parametrize("make", _MAKERS.values())
def test_markdown_holds_no_markup_but_ours(make: Make):
    page = _page(make)
    ours = {"h2", "h3", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre"}
    ours |= {"details", "summary", "b", "strong", "br", "sub", "blockquote"}
    assert set(page.tags) <= ours
    assert page.links == []
    assert page.tags.count("b") == len(make().findings)
    assert page.tags.count("tr") == sum(
        len(rows) + 1 for rows in (make().targets, make().proofs) if rows
    )


def test_markdown_shows_everything_as_it_is():
    page = _page(hostile)
    name = HOSTILE.replace("\x1b", "\ufffd").replace("\n", "\ufffd")
    assert name in page.text
    assert "*see* [here](javascript:alert(1))" in page.text
    assert "    ```x | y``` </details>" in page.text
    assert "$'a b|\U0001f4a5`$(reboot)`\\012\\033[31m.py:Net'" in page.text
    assert page.text.lstrip().startswith("Shapes do not hold: 1 finding")


def test_markdown_of_many_findings_is_folded_and_bounded():
    bad = case(Failed("grad", "no gradient reaches spare.weight"))
    text = shapes_markdown.render(report(bad, findings=(Finding(bad, 1, 1),) * 5), View())
    assert text.count("<details>") == 5
    text = shapes_markdown.render(report(bad, findings=(Finding(bad, 1, 1),) * 130), View())
    assert text.count("<details>") == 100
    assert "And 30 more findings" in text


def _commands(made: ShapeReport) -> list[tuple[str, dict[str, str], str]]:
    return [read_command(line) for line in shapes_github.render(made, View()).splitlines()]


def test_github_has_an_error_for_each_finding_and_a_notice_at_the_end():
    odd, wrong, notice = _commands(broken())
    name, properties, message = odd
    assert name == "error"
    assert properties == {"title": "net.py:Net: raises an error", "file": "net.py", "line": "12"}
    assert message.startswith("net.py:Net, in 'stages.1.merge': RuntimeError: The size")
    assert "\nfails: where H is odd, in 12 of 40 cases\n" in message
    assert message.endswith(f"\nreproduce with: {broken().cases[0].reproduce}")
    assert wrong[1] == {"title": "net.py:Net: wrong shape"}
    assert "\nexpected: 1x16x1x1\nactual: 1x16x3x3\n" in wrong[2]
    assert notice[0] == "notice"
    assert notice[2] == "5 cases: 3 passed, 2 failed, 1 skipped in 21.3 s"


def test_github_commands_cannot_be_forged():
    text = shapes_github.render(hostile(), View())
    assert len(text.splitlines()) == 2
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", text)
    (_, properties, message), notice = _commands(hostile())
    name = HOSTILE.replace("\x1b", "\ufffd").replace("\n", "\ufffd")
    assert set(properties) == {"title", "file", "line"}
    assert properties["title"] == f"{name}: items of a batch mix"
    assert properties["file"] == name.removesuffix(":Net")
    assert properties["line"] == "3"
    assert "| 100%\ufffd\ufffd::error::no" in message
    assert "\nstopped early" in notice[2]


def test_github_takes_the_innermost_line_of_the_users_code():
    details = (
        'File "a.py", line 1, in f',
        "    g()",
        'File "sub dir/b.py", line 22, in g',
        "    1/0",
    )
    bad = case(Failed("error", "ZeroDivisionError", details=details))
    ((_, properties, _), _) = _commands(report(bad, findings=(Finding(bad, 1, 1),)))
    assert (properties["file"], properties["line"]) == ("sub dir/b.py", "22")


def test_github_reports_claims_that_are_not_proved():
    made = _commands(proved())
    assert [name for name, _, _ in made] == ["error", "error", "notice"]
    assert "at H = 3: expected 2, and 1 came out" in made[0][2]
    assert "blocktool contradicts itself" in made[1][2]
    assert made[2][1]["title"] == "blocktool: Shapes do not hold: 1 refuted, 1 not proved"
    assert [name for name, _, _ in _commands(catalog())] == ["notice"]


def test_github_tells_outputs_that_vary():
    made = {name: text for name, _, text in _commands(varied())[:2]}
    assert "but B, 2, H, W where C is at least 2 and H is at least 101" in made["notice"]
    assert "B, C, 2, 3 where H is from 4 to 5; but B, C, 3, 3 where" in made["error"]


def test_markdown_tells_outputs_that_vary():
    page = _page(varied)
    assert "but B, 2, H, W where C is at least 2 and H is at least 101" in page.text
    assert "ways were followed for 4 <= H <= 17" in page.text
    # Only of the first it is known where it runs.
    assert page.text.count("always") == 1


def _rows(make: Make) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(shapes_csv.render(make(), View()))))


def test_csv_has_a_row_for_each_case():
    rows = _rows(broken)
    assert [row["outcome"] for row in rows] == [
        *("failed", "failed", "passed", "skipped", "passed", "passed")
    ]
    odd, wrong, _, skipped, *_ = rows
    assert (wrong["arguments"], wrong["inputs"]) == ("padding=2 norm=null", "1x16x1x1")
    assert (wrong["kind"], wrong["expected"], wrong["actual"]) == ("shape", "1x16x1x1", "1x16x3x3")
    assert odd["details"].splitlines()[0] == 'File "net.py", line 12, in forward'
    assert (skipped["reason"], skipped["kind"]) == ("needs 224x224", "")
    assert rows[0]["reproduce"] == broken().cases[0].reproduce


def test_csv_quotes_what_needs_it():
    (row,) = _rows(hostile)
    assert row["target"] == HOSTILE
    assert row["reproduce"] == hostile().cases[0].reproduce
    assert row["module"] == "a|b.\U0001f4a5"
