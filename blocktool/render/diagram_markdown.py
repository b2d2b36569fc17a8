"""A diagram as Markdown: the Mermaid flowchart where GitHub draws it, and what is to be said."""

from __future__ import annotations

from blocktool.render import diagram_mermaid
from blocktool.render import diagram_text as words
from blocktool.render.diagram_view import diagram_view
from blocktool.render.markdown_text import fenced, text
from blocktool.render.view import View
from blocktool.results.diagram import Diagram


def render(diagram: Diagram, view: View) -> str:
    """A line of what it is, the flowchart, and the notes."""
    shown = diagram_view(view)
    chart = diagram_mermaid.render(diagram, shown).splitlines()
    parts = [
        f"**{text(words.heading(diagram))}**: {text(words.description(diagram, shown))}.",
        fenced(chart, "mermaid"),
    ]
    if diagram.conditions:
        parts.append(f"For sizes with {text(' and '.join(diagram.conditions))}.")
    parts += [f"- {text(note)}" for note in diagram.notes]
    return "\n\n".join(parts) + "\n"
