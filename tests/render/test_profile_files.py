"""CSV, Markdown and JSON of profiles, each read as its reader would."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable
from dataclasses import fields, is_dataclass, replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from markdown_it import MarkdownIt
from render import profiles
from render.profile_pieces import case, latency, profile
from render.profiles import HOSTILE, MAKERS

from blocktool.errors import ReportError
from blocktool.render import profile_csv, profile_markdown
from blocktool.render.formats import choose_format, formats_of, renderer
from blocktool.render.json import read, render, to_json
from blocktool.render.profile_json import rounded
from blocktool.render.view import View
from blocktool.results.profile import Profile, VariantError

Make = Callable[[], Profile]


def test_the_formats():
    assert formats_of("profile") == (
        *("table", "json", "csv", "markdown", "speedscope"),
        *("bencher", "github-action-benchmark", "html"),
    )
    for name in ("table", "json", "csv", "markdown"):
        assert "torchvision:resnet50" in renderer("profile", name)(profiles.single(), View())
    assert choose_format("profile", None, "out/times.csv") == "csv"


@pytest.mark.parametrize("make", MAKERS.values())
def test_what_is_written_is_what_is_read(make: Make):
    made = rounded(make())
    assert read(to_json(make()), Profile) == made
    assert read(to_json(made), Profile) == made


def test_the_contract():
    made = json.loads(render(profiles.variants(), View(width=10)))
    assert list(made) == ["schema_version", "kind", *(field.name for field in fields(Profile))]
    assert (made["schema_version"], made["kind"]) == ("1", "profile")
    eager, *_, gone = made["cases"]
    wanted = {"p50", "p5", "p95", "iqr", "samples"}
    assert wanted <= set(eager["latency_ms"])
    wanted = {"throughput", "peak_bytes", "predicted_peak_bytes", "macs", "outcome", "reason"}
    assert wanted <= set(eager)
    assert eager["inputs"] == [{"name": None, "shape": [8, 3, 224, 224], "dtype": "float32"}]
    assert (gone["outcome"], gone["kind"]) == ("skipped", "unavailable")
    assert (gone["reason"], gone["latency_ms"]) == ("torchao is not installed", None)
    assert made["ceilings"]["gflops"] == {"float32": 189.2, "bfloat16": 21.4}
    assert made["verdicts"][0]["use"] == "fused+channels-last+compile"


def test_one_case_to_a_line():
    lines = to_json(profiles.batches()).splitlines()
    assert sum(line.startswith('    {"index":') for line in lines) == 5


def test_figures_have_six_digits():
    taken = latency(math.pi * 100, 2_000)
    made = json.loads(to_json(profile(case(latency_ms=taken))))
    samples = made["cases"][0]["latency_ms"]["samples"]
    assert samples == [float(f"{sample:.5e}") for sample in taken.samples]
    assert len(json.dumps(samples)) < 10 * len(samples)
    assert made["cases"][0]["macs"] == 4_089_184_256 * 8  # counts are whole


def test_what_is_not_finite_is_null():
    wrong = VariantError("float64", math.inf, math.nan, 1e-7)
    made = json.loads(to_json(profile(case(error=wrong, gflops=math.nan))))
    (only,) = made["cases"]
    assert only["gflops"] is None
    assert only["error"] == {
        "reference": "float64", "max_relative_error": None, "sqnr_db": None,
        "eager_relative_error": 1e-7, "same_top1": None,
    }  # fmt: skip
    assert read(json.dumps(made), Profile).cases[0].error == VariantError(
        "float64", None, None, 1e-7
    )


def test_unknown_fields_are_passed_over():
    made = json.loads(to_json(profiles.largest()))
    made["later"] = made["cases"][0]["later"] = made["max_batch"]["later"] = 1
    assert read(json.dumps(made), Profile) == rounded(profiles.largest())


@pytest.mark.parametrize(
    ("place", "value"),
    [("outcome", "maybe"), ("kind", "tired"), ("mode", "sideways"), ("batch", "8")],
)
def test_a_damaged_report_is_refused_with_the_place(place: str, value: str):
    made = json.loads(to_json(profiles.batches()))
    made["cases"][3][place] = value
    with pytest.raises(ReportError, match=rf"damaged: .*\$.cases\[3\].{place}"):
        read(json.dumps(made), Profile)


def test_every_field_is_in_the_documentation():
    text = (Path(__file__).parents[2] / "docs" / "json.md").read_text(encoding="utf-8")
    text = text[text.index("# The JSON of a profile") :]
    named = set(re.findall(r"`([a-z_0-9]+)`", text))
    seen: set[str] = set()

    def walk(value: Any) -> None:
        if is_dataclass(value):
            if type(value).__name__ not in ("Environment", "TensorSpec", "PeakMemory"):
                seen.update(field.name for field in fields(value))
            for field in fields(value):
                walk(getattr(value, field.name))
        elif isinstance(value, tuple):
            for item in value:
                walk(item)

    for make in MAKERS.values():
        walk(make())
    assert len(seen) > 90
    assert seen - named == set()


def _rows(made: Profile) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(profile_csv.render(made, View(depth=0)))))


@pytest.mark.parametrize("make", MAKERS.values())
def test_csv_has_a_row_to_a_case(make: Make):
    rows = _rows(make())
    assert [int(row["index"]) for row in rows] == [each.index for each in make().cases]
    assert [row["outcome"] for row in rows] == [each.outcome for each in make().cases]
    assert None not in {key for row in rows for key in row}


def test_csv_has_plain_numbers():
    eager, *_, gone = _rows(profiles.variants())
    assert float(eager["p50_ms"]) == float(eager["time_ms"]) == pytest.approx(414.074)
    assert (eager["inputs"], eager["batch"]) == ("8x3x224x224", "8")
    assert int(eager["peak_bytes"]) == 314 * 2**20
    assert int(eager["held_bytes"]) == 98 * 2**20
    assert (eager["samples"], eager["calls_per_sample"]) == ("41", "1")
    assert (eager["bound"], float(eager["attained"])) == ("compute", 0.84)
    assert float(eager["max_relative_error"]) == 2.1e-6
    assert (gone["p50_ms"], gone["time_ms"], gone["items_per_s"]) == ("", "", "")
    assert gone["reason"] == "torchao is not installed"
    step = _rows(profiles.training())[0]
    phases = [float(step[f"{name}_ms"]) for name in ("forward", "backward", "optimizer")]
    assert sum(phases) == pytest.approx(1301.0)


def test_csv_of_a_prediction():
    _, row = _rows(profiles.assumed())
    assert (row["device"], row["threads"]) == ("NVIDIA H100 SXM", "")
    assert float(row["time_ms"]) == float(row["predicted_ms"]) == 4.52
    assert float(row["items_per_s"]) == pytest.approx(64 / 4.52e-3, rel=1e-5)
    assert row["p50_ms"] == ""


def test_csv_quotes_what_needs_it():
    rows = _rows(profiles.hostile())
    assert rows[0]["target"] == HOSTILE
    assert rows[1]["variant"] == HOSTILE
    assert _rows(profile()) == []
    assert profile_csv.render(profile(), View()).startswith("target,device,threads,index,batch,")


@pytest.mark.parametrize("name", MAKERS)
def test_markdown(name: str, snapshot: Callable[[str, str], None]):
    snapshot(f"profile-{name}.md", profile_markdown.render(MAKERS[name](), View()))


class _Page(HTMLParser):
    """Tags, and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)

    def handle_data(self, data: str) -> None:
        self.text += data


def _page(made: Profile) -> _Page:
    page = _Page()
    markdown = profile_markdown.render(made, View())
    page.feed(MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown))
    return page


@pytest.mark.parametrize("make", MAKERS.values())
def test_markdown_holds_no_markup_but_ours(make: Make):
    page = _page(make())
    ours = {"h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li", "code", "pre"}
    ours |= {"details", "summary", "strong", "br", "sub", "blockquote"}
    assert set(page.tags) <= ours
    assert page.tags.count("table") == page.tags.count("thead")


def test_markdown_shows_everything_as_it_is():
    page = _page(profiles.hostile())
    name = HOSTILE.replace("\x1b", "\ufffd").replace("\n", "\ufffd")
    assert name in page.text
    assert "*SIGSEGV* <b>" in page.text
    assert "try `--x` <now>" in page.text
    assert "  ```x" in page.text
    assert "see |there|" in page.text


def test_markdown_tables_have_a_row_to_each_case_and_module():
    page = _page(profiles.batches())
    assert page.tags.count("tr") == 6
    page = _page(profiles.by_module())
    assert page.tags.count("tr") == 2 + 11
    assert "stage.1-2.conv" in page.text
    made = profiles.variants()
    twice = replace(made.verdicts[0], batch=1)
    text = _page(replace(made, verdicts=(made.verdicts[0], twice))).text
    assert "use fused+channels-last+compile: 1.64x faster" in text


def test_markdown_says_what_was_not_measured():
    assert "prediction for NVIDIA H100 SXM: nothing was run" in _page(profiles.assumed()).text
    text = _page(profiles.interrupted()).text
    assert "Warning: interrupted: 1 case measured, 2 skipped" in text
    text = _page(profiles.batches()).text
    assert "out of memory (13.60 GiB predicted): RuntimeError: [enforce fail" in text
