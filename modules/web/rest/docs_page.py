"""``/docs``: the API's routes as a plain page, without scripts from other machines."""

from __future__ import annotations

from html import escape
from typing import Any

from fastapi import APIRouter, FastAPI
from fastapi.responses import HTMLResponse

STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2rem; text-transform: capitalize }
details { border: 1px solid #8884; border-radius: 6px; margin: .4rem 0; padding: .4rem .8rem }
summary { cursor: pointer }
code { font: 13px ui-monospace, monospace }
b { display: inline-block; min-width: 4.2rem }
table { border-collapse: collapse; margin: .6rem 0 }
td { border-top: 1px solid #8883; padding: .2rem .8rem .2rem 0; vertical-align: top }
"""


def docs_router(app: FastAPI) -> APIRouter:
    """The page of this application's routes."""
    router = APIRouter(include_in_schema=False)

    @router.get("/docs")
    async def docs() -> HTMLResponse:
        return HTMLResponse(render(app.openapi()))

    return router


def render(schema: dict[str, Any]) -> str:
    """HTML of an OpenAPI description."""
    groups: dict[str, list[str]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tag = (operation.get("tags") or ["other"])[0]
            groups.setdefault(tag, []).append(_operation(schema, path, method, operation))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(rows)}" for tag, rows in groups.items())
    title = escape(schema["info"]["title"])
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title} API</title>'
        f"<style>{STYLE}</style><h1>{title} API {escape(schema['info']['version'])}</h1>"
        f"<p>{escape(schema['info'].get('description', ''))} The same for programs: "
        f'<a href="openapi.json">openapi.json</a>.</p>{sections}</html>'
    )


def _operation(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> str:
    words = escape(operation.get("description") or operation.get("summary") or "")
    rows = [
        _row(parameter["name"], parameter.get("schema", {}), parameter.get("description", ""))
        for parameter in operation.get("parameters", ())
    ]
    content = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
    body = _resolve(schema, content.get("schema", {}))
    for name, field in body.get("properties", {}).items():
        rows.append(_row(name, field, field.get("description", "")))
    table = f"<table>{''.join(rows)}</table>" if rows else ""
    return (
        f"<details><summary><b>{escape(method.upper())}</b> <code>{escape(path)}</code> "
        f"{words}</summary>{table}</details>"
    )


def _resolve(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    for option in part.get("anyOf", ()):
        if "$ref" in option:
            part = option
    reference = part.get("$ref", "")
    return schema["components"]["schemas"][reference.rsplit("/", 1)[1]] if reference else part


def _row(name: str, field: dict[str, Any], description: str) -> str:
    kinds = [option.get("type", "") for option in field.get("anyOf", ()) if option.get("type")]
    kind = field.get("type") or " or ".join(kinds)
    default = f"= {field['default']!r}" if "default" in field else ""
    cells = (f"<code>{escape(name)}</code>", escape(kind), escape(default), escape(description))
    return "<tr>" + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
