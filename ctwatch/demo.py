"""`ctwatch sandbox` and `ctwatch demo`: the local AWS, kept running or shown in one go.

The demo runs the very commands that a user types, against a sandbox of its own; it decides nothing
and asserts nothing but their exit codes, and ends with the sandbox's own inventory of what is left.
"""

import gc
import html
import itertools
import os
import re
import secrets
import shlex
import signal
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from click.exceptions import Exit
from rich.console import Group, RenderableType
from rich.text import Text

from ctwatch.cli import main
from ctwatch.clock import Clock
from ctwatch.config import parse
from ctwatch.errors import SandboxError
from ctwatch.render import Hanging, Screen, heading, panel
from ctwatch.sandbox import sandbox_class
from ctwatch.verbs.common import INTERRUPTED

if TYPE_CHECKING:
    from ctwatch.sandbox.calls import Hop
    from ctwatch.sandbox.inbox import Mail
    from ctwatch.sandbox.server import Sandbox

ADDRESS = "security@example.com"
_ARRIVES = 10.0
"""Seconds within which anything must arrive on loopback."""
_DELIVERS_EVERY = 300.0
"""Seconds from one delivery of log files to the next."""
_DELIVERIES_OF_AN_HOUR = 12
_LIMIT = ("--timeout", "30")
_FIRST = ", the first of them"


@contextmanager
def leading_to(sandbox: "Sandbox") -> Iterator[None]:
    """Lead this process's AWS clients to the sandbox and nowhere else, for a while."""
    before = dict(os.environ)
    for name in sandbox.unset():
        os.environ.pop(name, None)
    os.environ.update(sandbox.env())
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def keep_sandbox(
    region: str,
    *,
    quiet: bool,
    like_aws: bool = False,
    latency: float = 0.0,
    clock: Clock | None = None,
) -> int:
    """Run a sandbox until Ctrl-C or SIGTERM; exports on stdout, the story on stderr.

    Args:
        region: the home region.
        quiet: whether to tell no more than the confirmation links.
        like_aws: whether it takes AWS's time to agree, another one each time it is run.
        latency: seconds after which each call is answered; then the calls are counted, too.
        clock: by which everything in it goes; the machine's when None.

    Raises:
        ConfigError: there is no such region.
        SandboxError: it is not installed or cannot start.
    """
    parse({"topic": {"emails": [ADDRESS]}}).with_region(region)
    screen = Screen(quiet=quiet)
    with _told_to_end() as over:
        story = _Story(screen)
        sandbox = sandbox_class()(
            region=region,
            narrate=story.tell,
            clock=clock,
            like_aws=like_aws,
            seed=secrets.randbits(32),
            latency=latency,
            kept=100,
        )
        # Its own boto3, too, must not look elsewhere.
        with _tidy(), sandbox as running, leading_to(running):
            story.sandbox = running
            for line in exports(running):
                print(line, flush=True)  # noqa: T201 - for a shell: no width, no wrapping
            screen.talk("A local AWS is running. Paste these lines into another terminal, then:")
            screen.talk("ctwatch up   (or any AWS client). Ctrl-C ends it and all that is in it.")
            if latency:
                _beside(_tell_bursts, screen, running, over)
            _deliver_logs(running, over)
        screen.talk("The sandbox is gone, with everything in it.")
    return 0


@contextmanager
def _tidy() -> Iterator[None]:
    """Look for garbage among what is new, as one that lives long has more of it than a command."""
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(2_000, 10, 10)
    try:
        yield
    finally:
        gc.set_threshold(*before)


_GLANCE, _QUIET = 0.2, 1.0
"""Seconds between two looks at the traffic, and those after which a burst of calls is over."""


def _beside(task: Callable[..., None], *given: Any) -> None:
    threading.Thread(target=task, args=given, daemon=True).start()


def _tell_bursts(screen: Screen, sandbox: "Sandbox", over: threading.Event) -> None:
    """Tell of the calls that came whenever no more come, until it is over."""
    while not over.wait(_GLANCE):
        if burst := sandbox.traffic.burst(_QUIET):
            calls = "1 call" if burst.calls == 1 else f"{burst.calls} calls"
            screen.talk(f"{calls}, {burst.series} in series, {burst.seconds:.2f} s")


def _deliver_logs(sandbox: "Sandbox", over: threading.Event) -> None:
    """Let CloudTrail deliver as it does on AWS, until it is over.

    Log files "about every 5 minutes", digests once an hour:
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/get-and-view-cloudtrail-log-files.html
    https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-log-file-validation-digest-file-structure.html
    """
    for delivery in itertools.count(1):
        if over.wait(_DELIVERS_EVERY / sandbox.clock.speed):
            return
        sandbox.deliver_logs(digests=delivery % _DELIVERIES_OF_AN_HOUR == 0)


@contextmanager
def _told_to_end() -> Iterator[threading.Event]:
    """An event that Ctrl-C, SIGTERM and a closed terminal set, each of which is a good end."""
    over = threading.Event()
    with _ending_by(lambda *_: over.set()):
        yield over


@contextmanager
def _interrupted() -> Iterator[threading.Event]:
    """Let each of them interrupt, and set an event: Python drops what a callback raises."""
    ended = threading.Event()

    def interrupt(*_: Any) -> None:
        ended.set()
        raise KeyboardInterrupt

    with _ending_by(interrupt):
        yield ended


@contextmanager
def _ending_by(handler: Callable[..., Any]) -> Iterator[None]:
    """Let Ctrl-C, SIGTERM and a closed terminal call `handler`, so that none ends us untidily."""
    ends = [signal.SIGINT, signal.SIGTERM]
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        ends.append(signal.SIGHUP)  # ignored it is under nohup, and stays so
    before = {one: signal.signal(one, handler) for one in ends}
    try:
        yield
    finally:
        for one, usual in before.items():
            signal.signal(one, usual)


def exports(sandbox: "Sandbox") -> list[str]:
    """The shell lines that lead a terminal to the sandbox."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sandbox.env().items()]
    return [f"unset {' '.join(sandbox.unset())}", *lines]


class _Story:
    """Tells every hop, and shows every message that arrived, each once."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self.sandbox: Sandbox | None = None
        self._lock = threading.Lock()
        self._mails = 0

    def tell(self, hop: "Hop") -> None:
        """Tell a hop; called from any thread."""
        with self._lock:
            self.screen.talk(Group(_hop_line(hop), *self._arrived(hop)))
            if "link" in hop.extra:
                self.screen.link(hop.extra["link"])

    def _arrived(self, hop: "Hop") -> Iterator[RenderableType]:
        """The messages that came with this hop."""
        if hop.ok and "payload" in hop.extra:
            title, view = _VIEWS[hop.subject]
            yield panel(title, view(hop.extra["payload"]))
        if hop.stage == "mail" and self.sandbox:
            mails = self.sandbox.inbox.mails
            new, self._mails = mails[self._mails :], len(mails)
            if "link" not in hop.extra:
                yield from (panel("Mail", _mail_view(one)) for one in new)


def _hop_line(hop: "Hop") -> RenderableType:
    sign, colour = ("✓", "green") if hop.ok else ("✗", "red")
    if hop.stage in {"record", "delay"} and not hop.ok:
        sign, colour = "·", "dim"  # nothing failed: no trail was logging yet, or AWS takes its time
    head = Text(f"{hop.time:%H:%M:%S} {sign} {hop.stage:<9}", colour)
    said = hop.text.removesuffix(hop.extra.get("link", ""))
    return Hanging(head, Text.assemble((f"{hop.subject}  ", "bold"), said))


def run_demo(language: str) -> int:
    """Show the whole circle; returns 0 when every step went as it must."""
    screen = Screen()
    with (
        _interrupted() as ended,
        tempfile.TemporaryDirectory(prefix="ctwatch-demo-") as folder,
        sandbox_class()() as sandbox,
        leading_to(sandbox),
    ):
        config = Path(folder, "config.yaml")
        config.write_text(yaml.safe_dump(_config(language)), encoding="utf-8")
        shown = _Demo(screen, sandbox, config, ended)
        shown.story()
    if shown.failed:
        screen.talk(f"The demo failed at: {', '.join(shown.failed)}", "bold red")
        return 1
    screen.talk("Built, proven, and cleared away; the logs are kept until you say otherwise.")
    return 0


def _config(language: str) -> dict[str, Any]:
    return {
        "topic": {"emails": [ADDRESS]},
        "channels": [{"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}],
        "alerts": {"language": language},
    }


class _Demo:
    """The story, told in commands and in what arrived."""

    def __init__(
        self, screen: Screen, sandbox: "Sandbox", config: Path, ended: threading.Event
    ) -> None:
        self.ended = ended
        self.screen = screen
        self.sandbox = sandbox
        self.config = config
        self.failed: list[str] = []

    def story(self) -> None:
        """All of it, in order."""
        self.screen.talk(f"A local AWS is running at {self.sandbox.url}, and nothing leaves it.")
        self._run("What would be made?", "plan")
        self._run("Make it so", "up")
        self._confirm()
        self._run("Would I be told right now?", "status")
        self._run("Strike, and prove that the alerts arrive", "simulate", "all", *_LIMIT)
        self._show_arrivals()
        self._run("Still?", "status")
        self._run("Clear it away", "down", "--yes")
        self._show_rest()

    def _title(self, text: str) -> None:
        if self.ended.is_set():
            raise Exit(INTERRUPTED)
        self.screen.talk("")
        self.screen.talk(heading(text))

    def _run(self, title: str, *arguments: str) -> None:
        """Run a command as a user would type it; its exit code is part of the show."""
        self._title(title)
        self.screen.talk(f"$ ctwatch {' '.join(map(_typed, arguments))}", "bold cyan")
        sys.stdout.flush()
        code = main([*arguments, "--config", str(self.config)])
        if code == INTERRUPTED:
            raise Exit(code)
        if code != 0:
            self.failed.append(f"{arguments[0]} (exit code {code})")

    def _expect(self, what: str, arrived: Any) -> Any:
        if not arrived:
            self.failed.append(what)
        return arrived

    def _confirm(self) -> None:
        """Do what a person does: open the confirmation mail, and take its link to `confirm`."""
        self._title(f"{ADDRESS} gets a mail, and confirms")
        self.sandbox.idle(_ARRIVES)
        mail = self._expect("the confirmation mail", self.sandbox.inbox.mails)
        if mail:
            self._show_mail(mail[-1])
            self._run("So that no click can end it", "confirm", confirmation_link(mail[-1]))

    def _show_arrivals(self) -> None:
        """The Discord messages and the mail, as a person sees them."""
        self.sandbox.idle(_ARRIVES)
        taken = [one for one in self.sandbox.inbox.posts if one.status == HTTPStatus.OK]
        posts = self._expect("the Discord messages", taken)
        self._title(f"{len(posts)} messages arrived in Discord{_FIRST if posts else ''}")
        for post in posts[:1]:
            self.screen.data(panel("Discord", discord_view(post.payload)))
        for post in posts[1:]:
            self.screen.data(Hanging(Text("and  ", "dim"), _said(post.payload.get("content"))))
        mails = [one for one in self.sandbox.inbox.mails if "eventName" in one.text]
        self._title(f"{len(mails)} mails arrived{_FIRST if mails else ''}")
        for mail in self._expect("the mails", mails)[:1]:
            self._show_mail(mail)

    def _show_mail(self, mail: "Mail") -> None:
        self.screen.data(panel("Mail", _mail_view(mail)))

    def _show_rest(self) -> None:
        """The sandbox's own inventory, not ours."""
        self._title("What is left in the account")
        left = self.sandbox.listing()
        for line in left:
            self.screen.data(Text(line))
        if [line for line in left if not line.startswith("s3 ")]:
            self.failed.append("down left something behind")


def _typed(argument: str) -> str:
    """As it would be typed; of a link, its beginning."""
    return f"'{argument[:_BEGINNING]}…'" if argument.startswith("http") else argument


_BEGINNING = 32


def confirmation_link(mail: "Mail") -> str:
    """The link of a confirmation mail.

    Raises:
        SandboxError: there is none.
    """
    for word in mail.text.split():
        if word.startswith("http://127.0.0.1:") and "/confirm?" in word:
            return word
    raise SandboxError(f"The mail {mail.subject!r} holds no confirmation link.")


def follow(link: str) -> None:
    """Open a link of the sandbox's, as a browser would."""
    with urllib.request.urlopen(link, timeout=_ARRIVES) as answer:  # noqa: S310 - our own http link
        answer.read()


def _mail_view(mail: "Mail") -> Text:
    return Text(f"To: {mail.to}\nSubject: {mail.subject}\n\n{mail.text.strip()}")


def discord_view(payload: dict[str, Any]) -> Text:
    """A Discord message as a person sees it: the line, then each embed's title and fields."""
    lines = [_said(payload.get("content"))]
    for embed in payload.get("embeds", []):
        lines += [Text(), _said(embed.get("title")).copy()]
        lines[-1].stylize("bold")
        if embed.get("description"):
            lines.append(_said(embed["description"]))
        lines += [
            Text.assemble((f"{field['name']}: ", "dim"), _said(field["value"], joined=" · "))
            for field in embed.get("fields", [])
        ]
        if embed.get("url"):
            lines.append(Text(str(embed["url"]), "blue underline", overflow="fold"))
        if embed.get("footer"):
            lines.append(_said(embed["footer"].get("text")))
    return Text("\n").join(lines)


def slack_view(payload: dict[str, Any]) -> Text:
    """A Slack message as a person sees it: the line, then what its blocks say."""
    lines = [_said(_shown(payload.get("text"))), Text()]
    for block in payload.get("blocks", []):
        parts = [block["text"]] if "text" in block else block.get("elements", [])
        style = "bold" if block.get("type") == "header" else ""
        lines += [Text.assemble(_said(_shown(part.get("text"))), style=style) for part in parts]
    return Text("\n").join(lines)


def _shown(mrkdwn: Any) -> str:
    """Slack's text without the marks of a label and a link, and with its escapes undone."""
    unmarked = re.sub(r"(?m)^\*([^*\n]+)\*", r"\1", str(mrkdwn or ""))
    return html.unescape(re.sub(r"<([^|>]+)\|([^>]+)>", r"\2: \1", unmarked))


def teams_view(payload: dict[str, Any]) -> Text:
    """A Teams message as a person sees it: a line for each block of its card, then its links."""
    lines: list[Text] = []
    for card in (one.get("content", {}) for one in payload.get("attachments", [])):
        for block in card.get("body", []):
            runs = block.get("inlines", [])
            styled = ((str(run.get("text")), _weight(run)) for run in runs)
            lines.append(Text.assemble(*styled))
        lines += [
            Text(str(one.get("url")), "blue underline", overflow="fold")
            for one in card.get("actions", [])
        ]
    return Text("\n").join(lines)


def _weight(run: dict[str, Any]) -> str:
    return "bold" if run.get("weight") == "Bolder" else ""


def webhook_view(payload: dict[str, Any]) -> Text:
    """A program's document as far as it is for people: the verdict, then the alert."""
    verdict = f"{payload.get('severity')}, {', '.join(payload.get('detections', []))}"
    lines = [Text(str(payload.get("headline") or ""), "bold"), Text(verdict, "dim"), Text()]
    return Text("\n").join([*lines, Text(str(payload.get("text") or ""))])


_VIEWS: dict[str, tuple[str, Callable[[dict[str, Any]], Text]]] = {
    "discord": ("Discord", discord_view),
    "slack": ("Slack", slack_view),
    "teams": ("Teams", teams_view),
    "webhook": ("Webhook", webhook_view),
}
"""The stand-in that took a message -> what it is called, and how a person sees the message."""


def _said(text: Any, joined: str = "\n") -> Text:
    """Discord's text with its code spans as Discord shows them: without the marks."""
    parts = str(text or "").replace("\n", joined).split("`")
    return Text.assemble(*((part, "cyan" if odd % 2 else "") for odd, part in enumerate(parts)))
