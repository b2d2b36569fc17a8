"""Colours: that texts and marks can be told from their ground, in both themes, by arithmetic."""

from __future__ import annotations

import re
from importlib.resources import files
from itertools import combinations

import pytest

ASSETS = files("blocktool.render.html") / "assets"
THEMES = ("style.css", "dark.css")

# Of https://www.w3.org/TR/WCAG21: 4.5 for text (1.4.3), 3 for parts of graphics (1.4.11).
TEXT, GRAPHICS = 4.5, 3.0

# Machado, Oliveira and Fernandes, "A physiologically-based model for simulation of color vision
# deficiency", IEEE TVCG 15(6), 2009: severity 1, on linear RGB.
DEFICIENT = {
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216),
               (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413),
               (-0.011820, 0.042940, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602),
               (0.004733, 0.691367, 0.303900)),
}  # fmt: skip

Rgb = tuple[float, float, float]


def colors(theme: str) -> dict[str, Rgb]:
    """The variables of a theme, as linear RGB."""
    text = (ASSETS / theme).read_text(encoding="utf-8")
    found = re.findall(r"--([\w-]+): #([0-9a-f]{6});", text)
    return {name: linear(value) for name, value in found}


def linear(value: str) -> Rgb:
    parts = [int(value[i : i + 2], 16) / 255 for i in (0, 2, 4)]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return red, green, blue


def contrast(one: Rgb, two: Rgb) -> float:
    lights = [0.2126 * r + 0.7152 * g + 0.0722 * b for r, g, b in (one, two)]
    return (max(lights) + 0.05) / (min(lights) + 0.05)


def lab(color: Rgb) -> Rgb:
    """CIE L*a*b*, of a colour within the gamut."""
    red, green, blue = (min(max(part, 0.0), 1.0) for part in color)
    x = (0.4124 * red + 0.3576 * green + 0.1805 * blue) / 0.9505
    y = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    z = (0.0193 * red + 0.1192 * green + 0.9505 * blue) / 1.089
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def seen(color: Rgb, matrix: tuple[Rgb, ...]) -> Rgb:
    red, green, blue = (sum(a * b for a, b in zip(row, color, strict=True)) for row in matrix)
    return red, green, blue


def test_both_themes_have_the_same_colors():
    light, dark = map(colors, THEMES)
    assert light.keys() == dark.keys()
    assert contrast(linear("000000"), linear("ffffff")) == pytest.approx(21)
    assert contrast(linear("767676"), linear("ffffff")) == pytest.approx(4.54, abs=0.01)


@pytest.mark.parametrize("theme", THEMES)
def test_texts_can_be_read(theme: str):
    c = colors(theme)
    grounds = {
        "ink": ("paper", "panel", "box", "good-back", "bad-back", "warn-back"),
        "muted": ("paper", "panel"),
        "accent": ("paper", "panel"),
        "good": ("paper", "panel", "good-back"),
        "bad": ("paper", "panel", "bad-back"),
        "warn": ("paper", "panel", "warn-back"),
        "on": tuple(f"c{i}" for i in range(1, 8)),
    }
    for text, backs in grounds.items():
        for back in backs:
            assert contrast(c[text], c[back]) >= TEXT, (text, back)


@pytest.mark.parametrize("theme", THEMES)
def test_marks_and_outlines_can_be_seen(theme: str):
    c = colors(theme)
    for mark in ("c1", "c2", "c3", "c4", "c5", "c6", "c7", "accent", "muted"):
        assert contrast(c[mark], c["paper"]) >= GRAPHICS, mark


@pytest.mark.parametrize("theme", THEMES)
def test_colors_of_series_differ_for_all_eyes(theme: str):
    """Colour is not alone: each series has a filling, a dash or a sign of its own as well."""
    c = colors(theme)
    series = [c[f"c{i}"] for i in range(1, 8)]

    def nearest(shown: list[Rgb]) -> float:
        pairs = combinations(map(lab, shown), 2)
        return min(sum((a - b) ** 2 for a, b in zip(*pair, strict=True)) ** 0.5 for pair in pairs)

    assert nearest(series) > 20
    for matrix in DEFICIENT.values():
        assert nearest([seen(color, matrix) for color in series]) > 8
