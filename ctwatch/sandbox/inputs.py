"""What a target gets of an event: all of it, a part, a constant, or a template filled in.

https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
"""

import json
import re
from typing import Any

from ctwatch.sandbox.faults import Undeliverable

_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
_STEP = re.compile(r"\.([\w/-]+)|\[(?:'([^']*)'|\"([^\"]*)\"|(\d+|\*))\]|\.(\*)")
_ABSENT = object()


def shape(target: dict[str, Any], event: dict[str, Any], rule_arn: str, ingested: str) -> str:
    """The text that EventBridge hands a target.

    Args:
        target: as PutTargets has it (`Input`, `InputPath`, `InputTransformer` or none of them).
        event: the envelope that matched.
        rule_arn: for `<aws.events.rule-arn>` and `<aws.events.rule-name>`.
        ingested: for `<aws.events.event.ingestion-time>`, ISO 8601.

    Raises:
        Undeliverable: INVALID_JSON when a filled JSON template is none. EventBridge escapes no
            value, so a quotation mark in an event does that.
    """
    if target.get("Input") is not None:
        return str(target["Input"])
    if target.get("InputPath") is not None:
        found = look_up(event, target["InputPath"])
        return json.dumps(None if found is _ABSENT else found, ensure_ascii=False)
    if target.get("InputTransformer") is not None:
        return _transform(target["InputTransformer"], event, rule_arn, ingested)
    return json.dumps(event, ensure_ascii=False, separators=(",", ":"))


def look_up(event: Any, path: str) -> Any:
    """The value at a JSON path; `[*]` and `.*` give a list. `_ABSENT` when there is none."""
    values, several, position = [event], False, 1
    while position < len(path):
        step = _STEP.match(path, position)
        if step is None:
            return _ABSENT
        name = next((one for one in step.groups() if one is not None), "")
        several = several or name == "*"
        values = [found for value in values for found in _children(value, name)]
        position = step.end()
    if several:
        return values or _ABSENT
    return values[0] if values else _ABSENT


def _children(value: Any, name: str) -> list[Any]:
    if isinstance(value, dict):
        return list(value.values()) if name == "*" else [value[name]] if name in value else []
    if isinstance(value, list):
        if name == "*":
            return value
        if name.isdigit() and int(name) < len(value):
            return [value[int(name)]]
    return []


def _transform(
    transformer: dict[str, Any], event: dict[str, Any], rule_arn: str, ingested: str
) -> str:
    template = transformer["InputTemplate"]
    values = _reserved(event, rule_arn, ingested)
    for name, path in (transformer.get("InputPathsMap") or {}).items():
        found = look_up(event, path)
        if found is not _ABSENT:
            values[name] = found
    filled = _fill(template, values)
    if template.lstrip().startswith(("{", "[")):
        return _checked(filled)
    return filled


def _reserved(event: dict[str, Any], rule_arn: str, ingested: str) -> dict[str, Any]:
    return {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rsplit("/", 1)[-1],
        "aws.events.event.ingestion-time": ingested,
        "aws.events.event": {key: value for key, value in event.items() if key != "detail"},
        "aws.events.event.json": event,
    }


def _fill(template: str, values: dict[str, Any]) -> str:
    """Put values where their names stand; inside quotes bare, outside as JSON."""
    parts: list[str] = []
    position, quoted = 0, False
    for match in _PLACEHOLDER.finditer(template):
        between = template[position : match.start()]
        quoted = _inside(between, quoted)
        parts += [between, _rendered(values.get(match[1], _ABSENT), quoted)]
        position = match.end()
    return "".join([*parts, template[position:]])


def _inside(text: str, quoted: bool) -> bool:
    """Whether a JSON string is open at the end of `text`."""
    for _ in re.finditer(r'\\.|(")', text):
        quoted = quoted != (_[1] is not None)
    return quoted


def _rendered(value: Any, quoted: bool) -> str:
    """A value in its place: never escaped, and objects inside a string lose their quotes."""
    if value is _ABSENT:
        return ""
    if isinstance(value, str):
        return value if quoted else f'"{value}"'
    written = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return written.replace('"', "") if quoted else written


def _checked(filled: str) -> str:
    try:
        json.loads(filled)
    except ValueError as error:
        raise Undeliverable(
            "INVALID_JSON", f"the filled input template is not valid JSON: {error}"
        ) from error
    return filled
