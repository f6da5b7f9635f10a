"""What Slack, Teams and a program behind a webhook want of a POST, and how they answer it.

Stricter than the services where these would take a message and lose it: a Teams workflow answers
202 before it looks at the card, here a card that it could not post is refused.

    https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
    https://docs.slack.dev/reference/block-kit/blocks
    https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/add-incoming-webhook
"""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Verdict = tuple[int, Any]
"""A status and a body: JSON when it is a dict, else text; None for none."""

_HIDDEN = 24  # bytes of randomness in a secret URL
_BLOCKS, _HEADER, _SECTION, _TEXT, _ELEMENTS = 50, 150, 3000, 40_000, 10
_CARD = "application/vnd.microsoft.card.adaptive"
_CARD_BYTES = 28 * 1024


@dataclass(frozen=True)
class Posted:
    """What came to a stand-in.

    Attributes:
        method: "POST", or what nobody here takes.
        content_type: without its parameters, in lower case.
        payload: the JSON object; None when it was none.
        size: bytes of the body.
    """

    method: str
    content_type: str
    payload: dict[str, Any] | None
    size: int


@dataclass(frozen=True)
class StandIn:
    """One service on loopback.

    Attributes:
        name: the type of channel that it stands in for.
        path: of its URL, which is secret, as a whole.
        query: the rest of its URL.
        stranger: what who comes with another URL of this form is told.
        judge: what it says to a POST.
    """

    name: str
    path: str
    query: str
    stranger: Verdict
    judge: Callable[[Posted], Verdict]

    @property
    def root(self) -> str:
        """The first part of its path: whatever begins so is its."""
        return self.path.split("/")[1]

    @property
    def address(self) -> str:
        """Path and query."""
        return self.path + (f"?{self.query}" if self.query else "")

    def answer(self, path: str, query: str, posted: Posted) -> Verdict:
        """Take what came, or refuse it."""
        known = secrets.compare_digest(path.encode(), self.path.encode())
        if not (known and secrets.compare_digest(query.encode(), self.query.encode())):
            return self.stranger
        if posted.method != "POST":
            return 405, "only POST is taken here"
        return self.judge(posted)


def stand_ins() -> dict[str, StandIn]:
    """Each with a URL that nobody can guess, by its type."""
    team, app = (f"{letter}{secrets.token_hex(5).upper()}" for letter in "TB")
    workflow = f"/workflows/{secrets.token_hex(16)}/triggers/manual/paths/invoke"
    signed = f"api-version=2016-06-01&sp=%2Ftriggers%2Fmanual%2Frun&sv=1.0&sig={_token()}"
    unsigned = {"error": {"code": "DirectApiAuthorizationRequired", "message": "Not authorized."}}
    slack = f"/services/{team}/{app}/{secrets.token_hex(12)}"
    all_ = (
        StandIn("slack", slack, "", (404, "no_service"), _slack),
        StandIn("teams", workflow, signed, (401, unsigned), _teams),
        StandIn("webhook", f"/hooks/{_token()}", "", (404, "not found"), _webhook),
    )
    return {one.name: one for one in all_}


def _token() -> str:
    return secrets.token_urlsafe(_HIDDEN)


def _slack(posted: Posted) -> Verdict:
    payload = posted.payload
    if posted.content_type != "application/json" or payload is None:
        return 400, "invalid_payload"
    if not (_is_text(payload.get("text"), _TEXT) or payload.get("blocks")):
        return 400, "no_text"
    blocks = payload.get("blocks", [])
    if not isinstance(blocks, list) or len(blocks) > _BLOCKS or not all(map(_is_block, blocks)):
        return 400, "invalid_blocks"
    return 200, "ok"


def _is_block(block: Any) -> bool:
    if not isinstance(block, dict):
        return False
    kind, text, elements = block.get("type"), block.get("text"), block.get("elements")
    if kind == "header":
        return _is_composed(text, {"plain_text"}, _HEADER)
    if kind == "section":
        return _is_composed(text, {"plain_text", "mrkdwn"}, _SECTION)
    if kind == "context" and isinstance(elements, list) and 1 <= len(elements) <= _ELEMENTS:
        return all(_is_composed(one, {"plain_text", "mrkdwn"}, _SECTION) for one in elements)
    return kind == "divider"


def _is_composed(text: Any, kinds: set[str], most: int) -> bool:
    known = isinstance(text, dict) and text.get("type") in kinds
    return known and _is_text(text.get("text"), most)


def _is_text(value: Any, most: int) -> bool:
    return isinstance(value, str) and 1 <= len(value) <= most


def _teams(posted: Posted) -> Verdict:
    wrong = _card_fault(posted)
    return (400, {"error": {"code": "InvalidCard", "message": wrong}}) if wrong else (202, None)


def _card_fault(posted: Posted) -> str:
    """Why a workflow could not post this; "" when it could."""
    payload = posted.payload or {}
    if posted.content_type != "application/json" or not payload:
        return "The body is no JSON object."
    if posted.size > _CARD_BYTES:
        return "The message is larger than 28 KB."
    attachments = payload.get("attachments")
    if payload.get("type") != "message" or not isinstance(attachments, list) or not attachments:
        return "It is no message with attachments."
    return next(filter(None, map(_attachment_fault, attachments)), "")


def _attachment_fault(one: Any) -> str:
    card = one.get("content") if isinstance(one, dict) else None
    if not isinstance(card, dict) or one.get("contentType") != _CARD:
        return "An attachment is no Adaptive Card."
    body = card.get("body")
    whole = card.get("type") == "AdaptiveCard" and isinstance(card.get("version"), str)
    if not whole or not isinstance(body, list) or not body:
        return "The card has no type, version or body."
    return (
        "" if all(isinstance(each, dict) and each.get("type") for each in body) else "No element."
    )


def _webhook(posted: Posted) -> Verdict:
    if posted.content_type != "application/json":
        return 415, "only application/json is taken here"
    schema = (posted.payload or {}).get("schema")
    if not isinstance(schema, str) or not schema.startswith("ctwatch.alert/"):
        return 400, "this is no ctwatch.alert"
    return 200, None


def posted(
    method: str, headers: Mapping[str, str], payload: dict[str, Any] | None, size: int
) -> Posted:
    """What came, of it what a service looks at; names of headers are in lower case."""
    content_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    return Posted(method, content_type, payload, size)
