"""Who guards the guard: every part of the alarm is cut, one at a time, and what is told of it.

Each cut is a real call against the sandbox. The tables say by which ways its alert still arrives:

    mail      the topic, as a rule told it: the first set's, or the config's
    text      the same as a text message
    discord   the function, as the second set told it, or the topic where it listens there
    written   a mail that the function wrote

Where none can, `status` must say so. The parts are those of the planned watch, so whatever is added
to a watch must be cut, too. All are cut in the route `fanout`; in each other configuration, those
that are not the same there, and where alerts travel otherwise, all that they end in.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

import pytest
import yaml
from cuts import (
    CUTS,
    EACH,
    GUARDED_ELSEWHERE,
    ITSELF,
    NOTHING,
    WHOLE,
    Part,
    cut,
    parts_of,
    unnamed,
    untag,
)
from watch_world import ADDRESS, DISCORD, World, planned, world_of

from ctwatch.aws import Aws
from ctwatch.diagnose import diagnose
from ctwatch.engine import build, inspect
from ctwatch.findings import Finding, Verdict
from ctwatch.resources.base import Resource
from ctwatch.sandbox.server import Observed, Sandbox
from ctwatch.watch import Watch

pytestmark = pytest.mark.usefixtures("unmeasured")

NUMBER = "+821012345678"
FANOUT: dict[str, Any] = {
    "topic": {"emails": [ADDRESS]},
    "channels": DISCORD,
    "alerts": {"language": "en"},
    "rules": [
        {"name": "ct-detect", "detection": "trail-tampering"},
        {"name": "root", "detection": "root-login"},
        {"name": "guard", "detection": "pipeline-tampering"},
    ],
}
# In this order, as the world is turned from each into the next: a number that nobody asked for any
# more would go on listening to the topic, as only an address is remembered.
CONFIGS: dict[str, dict[str, Any]] = {
    "fanout": FANOUT,
    "secret in the environment": {**FANOUT, "function": {"secret": "env"}},
    "direct": {**FANOUT, "route": "direct"},
    "formatted": {**FANOUT, "route": "formatted"},
    "formatted, mails only": {**FANOUT, "route": "formatted", "channels": []},
    "topic with a key": {**FANOUT, "topic": {"emails": [ADDRESS], "kms": "create"}},
    "text messages": {**FANOUT, "topic": {"emails": [ADDRESS], "sms": [NUMBER]}},
}

MAIL, TEXT, POST, WRITTEN = "mail", "text", "discord", "written"
Told = tuple[set[str], str]
"""The ways by which the alert about a cut arrives, and what `status` calls it."""

ANY_RULE, OF_RULE = "rule *", "rule *: targets.*"
FORWARDER = "role ctwatch-forwarder: *"
TOPIC, PERSON = "topic sns-cloudtrail-alarm: ", f"subscription {ADDRESS}: *"
FUNCTION, ROLE = "function lambda-ct-detect-alarm: ", "role ctwatch-notifier: "
# For each configuration the first that fits a part.
EXPECTED: dict[str, dict[str, Told]] = {
    "fanout": {
        "rule guard-events: *": ({POST}, "DEAF"),  # its own cut, which it was there to tell
        "rule *: targets.receipts": ({MAIL, POST}, "DEGRADED"),
        ANY_RULE: ({MAIL, POST}, "DEAF"),
        "role ctwatch-forwarder: attached": (
            set(),
            "UNKNOWN",
        ),  # it is not read
        "role ctwatch-forwarder: boundary": (set(), "UNKNOWN"),
        FORWARDER: (set(), "DEAF"),  # seen in us-east-1 only, and handed on by nobody any more
        f"{TOPIC}policy.__default_statement_ID": ({MAIL, POST}, "DEGRADED"),
        f"{TOPIC}*": ({POST}, "MUTE"),
        PERSON: ({POST}, "DEGRADED"),
        f"{FUNCTION}permissions.sns-*": ({MAIL, POST}, "DEGRADED"),
        f"{FUNCTION}permissions.*": ({MAIL, POST}, "MUTE"),
        f"{FUNCTION}*": ({MAIL}, "MUTE"),
        f"{ROLE}attached": ({MAIL}, "UNKNOWN"),
        f"{ROLE}boundary": ({MAIL}, "UNKNOWN"),
        f"{ROLE}*": ({MAIL}, "MUTE"),
        "secret *": ({MAIL}, "MUTE"),
        "subscription *": ({MAIL, POST}, "DEGRADED"),
        "log group *": ({MAIL, POST}, "DEGRADED"),
        "queue *": ({MAIL, POST}, "DEGRADED"),
    },
    "secret in the environment": {
        ANY_RULE: ({MAIL, POST}, "DEAF"),
        f"{FUNCTION}environment.*": ({MAIL}, "MUTE"),
        f"{ROLE}*": ({MAIL, POST}, "DEGRADED"),  # it writes no log any more, and needs no secret
    },
    "direct": {
        "rule guard-events: *": ({POST}, "DEAF"),
        "rule guard-*: *": ({MAIL, POST}, "DEAF"),
        ANY_RULE: ({MAIL, POST}, "DEGRADED"),  # two ways that share nothing after the rule
        f"{TOPIC}*": ({POST}, "MUTE"),
        PERSON: ({POST}, "MUTE"),  # to whom alone the first set tells
        f"{FUNCTION}permissions.*": ({MAIL, POST}, "DEGRADED"),
        f"{FUNCTION}*": ({MAIL}, "MUTE"),
        "queue *": ({MAIL, POST}, "DEGRADED"),
    },
    "formatted": {
        "rule guard-events: *": ({POST, WRITTEN}, "DEAF"),
        ANY_RULE: ({MAIL, POST, WRITTEN}, "DEAF"),
        f"{TOPIC}itself": ({POST}, "MUTE"),
        f"{TOPIC}policy.*": ({POST, WRITTEN}, "MUTE"),
        PERSON: ({POST}, "MUTE"),
        f"{FUNCTION}permissions.*": ({MAIL, POST, WRITTEN}, "MUTE"),
        f"{FUNCTION}*": ({MAIL}, "MUTE"),
        f"{ROLE}*": ({MAIL}, "MUTE"),
    },
    "formatted, mails only": {
        "rule guard-events: *": ({WRITTEN}, "DEAF"),
        ANY_RULE: ({MAIL, WRITTEN}, "DEAF"),
        f"{TOPIC}itself": (set(), "MUTE"),  # both sets end in it
        f"{TOPIC}policy.*": ({WRITTEN}, "MUTE"),
        PERSON: (set(), "MUTE"),
        f"{FUNCTION}permissions.*": ({MAIL, WRITTEN}, "MUTE"),
        f"{FUNCTION}*": ({MAIL}, "MUTE"),
        f"{ROLE}*": ({MAIL}, "MUTE"),
    },
    "topic with a key": {
        f"{TOPIC}key": ({MAIL, POST}, "DEGRADED"),
        "key ctwatch-topic: policy.EnableIAMUserPermissions": (set(), "DEGRADED"),
        "key *": (set(), "MUTE"),  # log-key-tampering would tell, and the topic carries nothing
    },
    "text messages": {
        f"subscription {NUMBER}: *": ({MAIL, POST}, "DEGRADED"),
    },
}
PARTS = {name: {str(one): one for one in parts_of(planned(CONFIGS[name]))} for name in CONFIGS}
ENDS = {("topic", ITSELF), ("function", ITSELF), ("topic", "policy.AllowEventBridgePublish")}


def _is_cut(name: str, part: Part) -> bool:
    """Whether a part is cut in a configuration: it is not the same as in `fanout`, or an end."""
    same = PARTS["fanout"].get(str(part))
    if name == "fanout" or not same or same.promise != part.promise:
        return True
    end = (part.one.kind, part.path) in ENDS or (part.one.name, part.path) == (ADDRESS, ITSELF)
    return end and "route" in CONFIGS[name]


EACH_TIME = {"fanout", "text messages"}
"""The configurations of which each cut is tried whenever the tests are run."""

CASES = [
    pytest.param(name, what, marks=[] if name in EACH_TIME else pytest.mark.exhaustive)
    for name in CONFIGS
    for what, one in PARTS[name].items()
    if _is_cut(name, one)
]


@dataclass
class Stage:
    """One world, turned from one configuration into the next.

    Attributes:
        name: of the configuration that is up.
        whole: how all of its watch looked, armed.
    """

    world: World
    name: str
    watch: Watch
    aws: Aws
    whole: dict[Resource, Finding]

    @property
    def parts(self) -> dict[str, Part]:
        return {str(one): one for one in parts_of(self.watch)}

    def look(self, some: Sequence[Resource]) -> list[Finding]:
        return inspect(some, self.aws)

    def verdict(self, seen: Sequence[Finding]) -> str:
        found = {**self.whole, **{one.resource: one for one in seen}}
        return diagnose(self.watch, [found[x] for x in self.watch.resources], self.aws).verdict


def turned(world: World, name: str) -> Stage:
    """The world with a configuration up and confirmed."""
    world.config.write_text(yaml.safe_dump(CONFIGS[name]), encoding="utf-8")
    with unheard(world):
        up = world.run("up")
    assert up.code == 0, up.text
    world.click()
    here = world.open()
    whole = {one.resource: one for one in inspect(here.watch.resources, here.aws)}
    assert {one.verdict for one in whole.values()} == {Verdict.OK}
    return Stage(world, name, here.watch, here.aws, whole)


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("guard")) as world:
        world.use({})
        yield world


@pytest.fixture(scope="module")
def stages() -> list[Stage]:
    """The newest one, if any."""
    return []


@pytest.fixture
def stage(name: str, world: World, stages: list[Stage]) -> Stage:
    if not stages or stages[-1].name != name:
        stages.append(turned(world, name))
    return stages[-1]


@dataclass
class Inbox:
    """What arrives from now on."""

    world: World

    def __post_init__(self) -> None:
        self.before = [len(one) for one in self._all()]

    def _all(self) -> tuple[Sequence[Any], ...]:
        inbox = self.world.sandbox.inbox
        return inbox.mails, inbox.texts, inbox.posts

    def ways(self, calls: list[Observed]) -> set[str]:
        """By which ways the alert about one of these calls has come."""
        self.world.settle()
        ids = {one.event_id for one in calls if one.writes and one.event_id}
        new = [all_[seen:] for all_, seen in zip(self._all(), self.before, strict=True)]
        mails, texts, posts = new
        told = [(MAIL if one.subject == _OF_SNS else WRITTEN, one.text) for one in mails]
        told += [(TEXT, one.text) for one in texts]
        told += [(POST, json.dumps(one.payload)) for one in posts if one.status == 200]
        return {way for way, text in told if any(one in text for one in ids)}


_OF_SNS = "AWS Notification Message"
"""The subject of a mail that nobody gave one."""


def touched(stage: Stage, part: Part) -> list[Resource]:
    """What may look otherwise after a cut: of all that hangs on a topic, all."""
    hanging = {"topic", "subscription", "key"}
    kinds = hanging if part.one.kind in hanging else set()
    return [one for one in stage.watch.resources if one is part.one or one.kind in kinds]


def mend(stage: Stage, found: Sequence[Finding]) -> None:
    """Repair it."""
    world = stage.world
    with unheard(world):
        assert [step.error.problem for step in build(found, stage.aws) if step.error] == []
    if any(one.resource.name == ADDRESS and not one.live for one in found):
        world.click()


@contextmanager
def unheard(world: World) -> Iterator[None]:
    """Let nobody be told of what happens: a mended function would be started once for each call."""
    world.settle()
    work = world.sandbox._delivery._work
    work._paused = True
    yield
    work._paused = False


@pytest.mark.parametrize(("name", "what"), CASES)
def test_whatever_is_cut_is_told_by_the_way_that_is_left(
    name: str, what: str, stage: Stage
) -> None:
    part, inbox = stage.parts[what], Inbox(stage.world)
    ways, judged = next(told for fits, told in EXPECTED[name].items() if fnmatchcase(what, fits))
    with stage.world.sandbox.recording() as calls:
        cut(stage.world, part)
    found = stage.look(touched(stage, part))
    try:
        assert inbox.ways(calls) == ways
        assert stage.verdict(found) == judged
    finally:
        mend(stage, found)


TAGGED = [one for one in planned(CONFIGS["text messages"]).resources if one.tagged]
LABELS = {(x.kind, x.away): x.title for x in TAGGED if x.kind not in GUARDED_ELSEWHERE}
"""A resource of each kind, at home and elsewhere."""


@pytest.mark.parametrize("title", LABELS.values())
@pytest.mark.parametrize("name", ["text messages"])
def test_whatever_loses_its_tag_looks_foreign_and_that_is_told(title: str, stage: Stage) -> None:
    [one] = [each for each in stage.watch.resources if each.title == title]
    inbox = Inbox(stage.world)
    with stage.world.sandbox.recording() as calls:
        untag(stage.world, one)
    [foreign] = seen = stage.look([one])
    try:
        assert foreign.verdict is Verdict.FOREIGN
        assert stage.verdict(seen) != "ARMED"
        assert inbox.ways(calls) == {MAIL, TEXT, POST}
    finally:
        with unheard(stage.world):
            one.label(stage.aws.at(one.place.region))


@pytest.mark.parametrize("name", ["text messages"])
def test_a_bus_that_is_closed_to_other_regions_is_told_at_home(stage: Stage) -> None:
    events, inbox = stage.world.client("events"), Inbox(stage.world)
    policy = {"Version": "2012-10-17", "Statement": [
        {"Sid": "Closed", "Effect": "Deny", "Principal": "*", "Action": "events:PutEvents",
         "Resource": stage.watch.place.arn("events", "event-bus/default")}]}  # fmt: skip
    with stage.world.sandbox.recording() as calls:
        events.put_permission(Policy=json.dumps(policy))
    assert inbox.ways(calls) == {MAIL, TEXT, POST}
    assert stage.verdict([]) == "DEAF"
    with unheard(stage.world):
        events.remove_permission(StatementId="Closed")
    assert stage.verdict([]) == "ARMED"


def test_it_is_armed_after_all_that_and_down_leaves_nothing_but_a_key(world: World) -> None:
    assert world.run("status").out.split()[0] == "ARMED"
    down = world.run("down", "--yes", "--delete-logs")
    assert down.code == 0
    left = [one for one in world.sandbox.listing() if one != f"iam policy {NOTHING}"]
    assert [one for one in left if "kms" not in str(one) and "key" not in str(one)] == []


@pytest.mark.parametrize("name", CONFIGS)
def test_whatever_is_promised_is_cut_or_said_to_carry_nothing(name: str) -> None:
    watch = planned(CONFIGS[name])
    assert unnamed(watch) == set()
    assert {one.kind for one in watch.resources} <= {*WHOLE, *GUARDED_ELSEWHERE}


def test_every_expectation_is_of_some_part_and_every_part_has_a_hand() -> None:
    for name, table in EXPECTED.items():
        cut_here = [what for other, what in (case.values for case in CASES) if other == name]
        assert [one for one in table if not any(fnmatchcase(w, one) for w in cut_here)] == []
    keys = {(kind, key) for table in (WHOLE, EACH) for kind in table for key in table[kind]}
    assert keys == set(CUTS)


def test_where_none_can_tell_status_says_so() -> None:
    untold = [told for table in EXPECTED.values() for told in table.values() if not told[0]]
    assert {judged for _, judged in untold} == {"DEAF", "MUTE", "DEGRADED", "UNKNOWN"}
