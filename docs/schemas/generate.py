"""Write the JSON schemas of the reports: one file for each kind, beside this script.

    python docs/schemas/generate.py

What a report holds is said by the classes of its result; what a field means, by their docstrings
and by the tables of docs/json.md and docs/formulas.md. The schemas are draft 2020-12. Fields that
they do not name are allowed, since fields may be added within a schema version.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from dataclasses import is_dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec.json

from blocktool.render.json import FORMS, KINDS, SCHEMA_VERSION

HERE = Path(__file__).parent

ADDED: dict[str, set[str]] = {
    "Summary": {"cross_check", "shared", "timeline"},
    "ModuleRow": {"param_dtype", "own_ops", "attributes"},
    "ProfileCase": {"process_medians_ms", "host_bound"},
    "Protocol": {"processes", "paired"},
    "Ceilings": {"kind"},
    "FormulaTotals": {"peak_live_bytes_where"},
    "Proof": {"outputs", "complete", "where"},
}
"""Fields that came when there were reports of this schema version already: not required, since
older reports are valid as well. All other fields are in every report."""

# Whose fields the tables of docs/json.md are about, by the first cell of their heads.
_TABLES = {
    "field of a case": {"ShapeCase", "ProfileCase"},
    "field of a proof": {"Proof"},
    "field of a figure": {"MetricChange"},
    "field of a node": {"DiagramNode"},
}


def schema(kind: str) -> dict[str, Any]:
    """The schema of one kind of report, as a plain object."""
    cls = KINDS[kind]
    form = FORMS[cls][0] if cls in FORMS else cls
    _, found = msgspec.json.schema_components(
        [form], schema_hook=_any, ref_template="#/$defs/{name}"
    )
    classes = _classes(form)
    objects = {name: _object(made, classes[name], kind) for name, made in found.items()}
    whole = objects.pop(form.__name__)
    head = {
        "schema_version": {
            "const": SCHEMA_VERSION,
            "description": "Raised where a field is removed or changes its meaning.",
        },
        "kind": {"const": kind},
    }
    made = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:blocktool:report:{SCHEMA_VERSION}:{kind}",
        "title": f"blocktool report of kind {kind}, schema version {SCHEMA_VERSION}",
        "description": whole["description"],
        "type": "object",
        "properties": {**head, **whole["properties"]},
        "required": [*head, *whole["required"]],
        "$defs": dict(sorted(objects.items())),
    }
    renamed: dict[str, Any] = json.loads(_published(json.dumps(made)))
    return renamed


def text(kind: str) -> str:
    """The schema as it stands in its file."""
    return json.dumps(schema(kind), indent=2, ensure_ascii=False) + "\n"


def _object(made: dict[str, Any], cls: type, kind: str) -> dict[str, Any]:
    """What msgspec says of a class, with our words, and with what is required of a report."""
    told = {**_field_docstrings(cls), **_table(kind, cls.__name__)}
    properties = {}
    for name, field in made["properties"].items():
        field.pop("default", None)  # of the constructor; a report has the field, or is older
        properties[name] = {**field, "description": told[name]} if name in told else field
    added = ADDED.get(cls.__name__, set())
    assert added <= properties.keys(), f"{cls.__name__} has no {added - properties.keys()}"
    return {
        "title": cls.__name__,
        "description": _plain(inspect.getdoc(cls) or ""),
        "type": "object",
        "properties": properties,
        "required": [name for name in properties if name not in added],
    }


def _any(cls: type) -> dict[str, Any]:
    """Constructor arguments are whatever a user gave: ``object``."""
    if cls is object:
        return {"description": "Any value of JSON."}
    raise NotImplementedError(cls)


def _classes(form: type) -> dict[str, type]:
    """The class and all that its fields consist of, by name."""
    found: dict[str, type] = {}

    def walk(hint: Any) -> None:
        if isinstance(hint, type) and is_dataclass(hint) and hint.__name__ not in found:
            found[hint.__name__] = hint
            for each in get_type_hints(hint).values():
                walk(each)
        for each in get_args(hint):
            walk(each)

    walk(form)
    return found


def _field_docstrings(cls: type) -> dict[str, str]:
    """The strings that stand below fields in the source of a dataclass."""
    body = ast.parse(inspect.getsource(cls)).body[0]
    assert isinstance(body, ast.ClassDef)
    told = {}
    for field, below in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(below, ast.Expr):
            assert isinstance(field.target, ast.Name)
            told[field.target.id] = _plain(inspect.cleandoc(ast.literal_eval(below.value)))
    return told


def _table(kind: str, name: str) -> dict[str, str]:
    """The meanings that docs/json.md gives the fields of a class, without its links."""
    documents = [HERE.parent / "json.md", HERE.parent / "formulas.md"]
    whole = "".join(each.read_text(encoding="utf-8") for each in documents)
    # Only the kind's own section says it in a table, or of its format.
    named = re.compile(rf'^\| `kind` .*`"{kind}"`|of kind `"{kind}"`:$', re.M)
    section = next((each for each in re.split(r"^# ", whole, flags=re.M) if named.search(each)), "")
    is_whole = name in (KINDS[kind].__name__, "FlatReport")
    told: dict[str, str] = {}
    wanted = False
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| field"):
            of = _TABLES.get(cells[0])
            wanted = is_whole if of is None else name.replace("Flat", "Shape") in of
        elif wanted and line.startswith("| `") and cells[2:]:
            words = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", " | ".join(cells[2:]).strip(" |"))
            words = re.sub(r"^as .*|; see below$|^see below$", "", words)
            told |= {field: _plain(words) for field in re.findall(r"`(\w+)`", cells[0]) if words}
    return told


def _plain(text: str) -> str:
    """A docstring or a cell as running text, in the words of JSON."""
    text = re.sub(r":\w+:`~?(?:[\w.]*\.)?(\w+)`", r"\1", text).replace("``", "`")
    text = re.sub(r"\bNone\b", "null", text)
    return "\n\n".join(" ".join(each.split()) for each in text.split("\n\n")).strip()


def _published(schema: str) -> str:
    """Without the prefix of classes that only stand for another in JSON."""
    return schema.replace('"Flat', '"').replace("#/$defs/Flat", "#/$defs/")


if __name__ == "__main__":
    for each in KINDS:
        (HERE / f"{each}.schema.json").write_text(text(each), encoding="utf-8")
