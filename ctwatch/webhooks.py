"""Whether the webhooks answer: asked by a GET that posts nothing, where the service allows that.

What is asked is the URL that the notifier uses, as it is stored, if whoever looks may read that. It
is held to what `up` would take before anything is sent there, and it stays here: what is handed on
is what the service said, never the URL.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from ctwatch.aws import TROUBLE, Aws
from ctwatch.config import TOPIC
from ctwatch.errors import ConfigError, CtwatchError
from ctwatch.findings import Finding, Verdict
from ctwatch.resources.base import Resource
from ctwatch.resources.function import Function
from ctwatch.secret import ASKED, VARIABLES, check_webhook, probe


class Reply(StrEnum):
    """What asking a webhook came to."""

    THERE = "there"
    GONE = "gone"
    UNHEARD = "unheard"
    UNASKED = "not asked"


@dataclass(frozen=True)
class Answer:
    """What is known of one channel's webhook.

    Attributes:
        reply: whether it is there.
        why: why that is so, or is not known; "" where it is there.
    """

    reply: Reply
    why: str = ""


# It was deleted, or its token is another: https://docs.discord.com/developers/resources/webhook
_GONE = {401, 404}
_THERE = 200


def urls(function: Function, aws: Aws) -> dict[str, str | None]:
    """The URL of every webhook that can be asked, by channel; None for what cannot be read.

    Args:
        function: the notifier.
        aws: the account.
    """
    names = [one for one in function.channels if one != TOPIC and one not in function.unasked]
    read = aws.together(*(partial(_url, name, function, aws) for name in names))
    return dict(zip(names, read, strict=True))


def answers(
    function: Function, looks: Mapping[Resource, Finding], read: Mapping[str, str | None], aws: Aws
) -> dict[str, Answer]:
    """Ask every webhook that can be asked whether it is there, by channel.

    Args:
        function: the notifier.
        looks: a look at it and at its secrets; what is not there, or is another's, is not asked.
        read: what `urls` has read.
        aws: the account.
    """
    said = {}
    for name, url in read.items():
        holders = function.secrets_of(name) or (function,)
        if any(looks[one].verdict not in {Verdict.OK, Verdict.DRIFTED} for one in holders):
            why = "where its secret is kept cannot be looked into"
            said[name] = Answer(Reply.UNASKED, why)
        elif url is None:
            said[name] = Answer(Reply.UNASKED, "its secret cannot be read from here")
        else:
            said[name] = _answer(url, aws)
    return said


def _answer(url: str, aws: Aws) -> Answer:
    [kind] = ASKED
    try:
        check_webhook(url, kind, loopback_allowed=aws.on_loopback)
    except ConfigError as error:
        return Answer(Reply.GONE, error.problem)
    return _asked(url, kind)


def _url(name: str, function: Function, aws: Aws) -> str | None:
    """What the notifier reads: a parameter, or a variable of its own."""
    [kind] = ASKED
    try:
        for secret in function.secrets_of(name):
            answer = aws.ssm.get_parameter(Name=secret.name, WithDecryption=True)
            return answer["Parameter"]["Value"]
        live = aws.functions.get_function(FunctionName=function.name)["Configuration"]
    except TROUBLE:
        return None
    return live.get("Environment", {}).get("Variables", {}).get(VARIABLES[kind], "")


def _asked(url: str, kind: str) -> Answer:
    try:
        status = probe(url)
    except CtwatchError as error:
        return Answer(Reply.UNHEARD, error.problem)
    if status in _GONE:
        return Answer(Reply.GONE, f"{kind} answers {status}: it was deleted, or is not right")
    if status == _THERE:
        return Answer(Reply.THERE)
    return Answer(Reply.UNHEARD, f"the {kind} webhook answers {status}")
