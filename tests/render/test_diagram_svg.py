from __future__ import annotations

import re
import sys
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from PIL import Image, ImageFont
from render.diagrams import MAKERS, hostile, residual

from blocktool.errors import OutputError
from blocktool.render import diagram_png
from blocktool.render import diagram_text as words
from blocktool.render.diagram_colors import STYLE
from blocktool.render.diagram_svg import arranged, render
from blocktool.render.diagram_view import DiagramView
from blocktool.render.styled import clean
from blocktool.render.svg_text import text_width
from blocktool.render.view import View

SVG = "{http://www.w3.org/2000/svg}"
SIZES = {"t": (13.0, True), "d": (11.5, False), "k": (11.0, False)}
_FOLDER = Path("/usr/share/fonts/truetype")
_NAMES = ("dejavu/DejaVuSans.ttf", "liberation/LiberationSans-Regular.ttf")
FONTS = [_FOLDER / name for name in _NAMES if (_FOLDER / name).exists()]


def number(element: ET.Element, name: str) -> float:
    return float(element.get(name, "nan"))


def texts(element: ET.Element) -> list[str]:
    return [each.text or "" for each in element.iter(f"{SVG}text")]


@pytest.mark.parametrize("direction", ["TD", "LR"])
@pytest.mark.parametrize("name", MAKERS)
def test_everything_is_in_the_picture(name: str, direction: str) -> None:
    diagram = MAKERS[name]()
    view = DiagramView(direction=direction)  # type: ignore[arg-type]
    root = ET.fromstring(render(diagram, view))
    assert root.get("role") == "img"
    assert root.get("viewBox") == f"0 0 {root.get('width')} {root.get('height')}"
    assert (root.find(f"{SVG}title").text or "") == words.heading(diagram)
    assert (root.find(f"{SVG}desc").text or "") == words.description(diagram, view)
    shown = texts(root)
    for node in diagram.nodes:
        for line in (words.title(node), *words.details(node, view)):
            assert line in shown
    for group in diagram.groups:
        assert words.group_title(group) in shown
    for edge in diagram.edges:
        assert not edge.shapes or words.shapes_text(edge.shapes) in shown
    arrows = [p for p in root.iter(f"{SVG}path") if p.get("marker-end")]
    assert len(arrows) == len(diagram.edges)


@pytest.mark.parametrize("name", MAKERS)
def test_text_fits_its_box(name: str) -> None:
    root = ET.fromstring(render(MAKERS[name](), View()))
    boxes = 0
    for group in root.iter(f"{SVG}g"):
        rect = group.find(f"{SVG}rect")
        if rect is None or rect.get("class") in ("group", "under") or group.get("transform"):
            continue
        boxes += 1
        left, top = number(rect, "x"), number(rect, "y")
        for text in group.findall(f"{SVG}text"):
            size, bold = SIZES[text.get("class", "")]
            half = text_width(text.text or "", size, bold=bold) / 2
            assert left <= number(text, "x") - half
            assert number(text, "x") + half <= left + number(rect, "width")
            assert top + size <= number(text, "y") + 1 < top + number(rect, "height")
    assert boxes == len(MAKERS[name]().nodes)


@pytest.mark.skipif(not FONTS, reason="neither DejaVu nor Liberation is installed")
def test_text_is_hardly_wider_than_measured() -> None:
    samples = ["conv1 · Conv2d", "1×64×112×112", "9.41 K params, 118 M MACs", "WWW mmm @@@ iii"]
    samples += [chr(code) * 10 for code in range(33, 127)]
    for path in FONTS:
        font = ImageFont.truetype(str(path), 100)
        for sample in samples:
            assert text_width(sample, 100) >= font.getlength(sample) * 0.95, sample


def test_it_stands_alone() -> None:
    for diagram in (residual(), hostile()):
        text = render(diagram, View())
        root = ET.fromstring(text)
        assert {each.tag.removeprefix(SVG) for each in root.iter()} <= {
            *("svg", "title", "desc", "style", "defs", "marker", "path", "rect", "g", "text"),
        }
        names = {name for each in root.iter() for name in each.attrib}
        assert not any("href" in name or name.startswith("on") for name in names)
        assert "url(http" not in text
        assert "@import" not in text


def test_names_are_text() -> None:
    diagram = hostile()
    shown = " ".join(texts(ET.fromstring(render(diagram, View()))))
    for node in diagram.nodes[1:]:
        assert clean(node.name) in shown


def test_every_class_has_its_colours_light_and_dark() -> None:
    used = set(re.findall(r'class="([^"]+)"', render(residual(), View())))
    light, _, dark = STYLE.partition("@media screen and (prefers-color-scheme:dark)")
    for name in {part for each in used for part in each.split()} - {"e", "l"}:
        for scheme in (light, dark):
            assert re.search(rf"\.{name}[,{{]", scheme), name


def test_skips_are_told_apart() -> None:
    text = render(residual(), View())
    assert text.count('marker-end="url(#skip)"') == 1
    found = arranged(residual(), DiagramView())
    assert any(route.lines == (("n1", "n4"),) for route in found.routes)


def has_font() -> bool:
    import resvg_py

    return diagram_png._has_font(resvg_py, {})


def test_an_image(tmp_path: Path) -> None:
    if not has_font():
        pytest.skip("no font is installed")
    picture = ET.fromstring(render(residual(), View()))
    content = diagram_png.render(residual(), View())
    file = tmp_path / "a.png"
    file.write_bytes(content)
    with Image.open(file) as image:
        plain = image.convert("RGB")
    assert plain.size == tuple(round(2 * number(picture, side)) for side in ("width", "height"))
    assert plain.getpixel((0, 0)) == (255, 255, 255)
    assert (0xFB, 0xD9, 0xA5) in {colour for _, colour in plain.getcolors(1 << 20) or []}


def test_an_image_without_a_font_would_have_no_text() -> None:
    import resvg_py

    assert not diagram_png._has_font(resvg_py, {"skip_system_fonts": True})


def test_without_resvg_there_is_a_hint(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(OutputError) as caught:
        diagram_png.render(residual(), View())
    assert "blocktool[diagram]" in str(caught.value.hint)
