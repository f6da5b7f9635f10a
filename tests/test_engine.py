"""The engine over things so small that they need no AWS."""

import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import ClassVar

import pytest
from botocore.exceptions import ClientError, NoCredentialsError
from botocore.parsers import ResponseParserError

from ctwatch.aws import WORKERS, Place
from ctwatch.diff import Difference, compare
from ctwatch.engine import build, clear, inspect, look
from ctwatch.errors import AwsError, ConfigError, CtwatchError, ForeignError
from ctwatch.findings import Action, Finding, Verdict, foreign
from ctwatch.permissions import Actions
from ctwatch.resources.base import Live, Resource

HERE = Place("aws", "123456789012", "ap-northeast-2")
THERE = Place("aws", "123456789012", "us-east-1")
PROMISE = {"size": 1, "hand": True}


class FakeAws:
    """Knows nothing but its region."""

    crew = ThreadPoolExecutor(WORKERS)

    def __init__(self, region=HERE.region):
        self.region = region

    def at(self, region):
        return FakeAws(region)


AWS = FakeAws()


@dataclass(frozen=True, kw_only=True, eq=False)
class Thing(Resource):
    """Keeps its own world: what is there, and what was called."""

    place: Place = HERE
    watch: str = "w"
    leans_on: tuple[Resource, ...] = ()
    there: dict = field(default_factory=dict)
    calls: list = field(default_factory=list)
    fails: Exception | None = None
    meets: threading.Barrier | None = None

    kind: ClassVar[str] = "thing"
    actions = Actions(read=())
    by_hand = {"hand": "a person's work"}  # noqa: RUF012 - a constant; the base class types it

    @property
    def arn(self):
        return f"arn:{self.name}"

    @property
    def wanted(self):
        return PROMISE

    def act(self, verb, aws):
        if self.meets:
            self.meets.wait(10)
        self.calls.append((verb, aws.region))
        if self.fails:
            raise self.fails

    def read(self, aws):
        self.act("read", aws)
        return self.there.get("live")

    def write(self, aws, live):
        self.act("write" if live else "create", aws)

    def delete(self, aws):
        self.act("delete", aws)


@dataclass(frozen=True, kw_only=True, eq=False)
class Precious(Thing):
    data: ClassVar[bool] = True


@dataclass(frozen=True, kw_only=True, eq=False)
class Tied(Thing):
    """Meets others only when it is deleted."""

    tied: ClassVar[bool] = True

    def untie(self, _, __):
        self.calls.append(("untie", ""))
        if self.fails:
            raise self.fails


@dataclass(frozen=True, kw_only=True, eq=False)
class Carried(Thing):
    """Goes with the first that it leans on."""

    @property
    def goes_with(self):
        return self.leans_on[0]


def thing(name, live=None, *needs, owner="w", kind=Thing, **more):
    """A thing; `live` is its state, None when it is not there."""
    there = {} if live is None else {"live": Live(live, owner)}
    return kind(name=name, leans_on=needs, there=there, **more)


def refused(code="AccessDenied"):
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "DoIt")


def finding(one):
    """What a look would find, whatever the thing does when it is written."""
    live = one.there.get("live")
    if live is None or live.owner != one.watch:
        return Finding(one, live)
    return Finding(one, live, tuple(compare(PROMISE, live.state)))


def unknown(one):
    return Finding(one, error=AwsError("may not look"))


def told(steps):
    return [(step.resource.name, step.action.value) for step in steps]


def ended(steps):
    return dict(told(step for step in steps if step.action is not Action.STARTED))


def built(*things):
    return ended(build([finding(one) for one in things], AWS))


def cleared(*things, keep_data=True):
    return ended(clear([finding(one) for one in things], AWS, keep_data=keep_data))


def verbs(one):
    return [verb for verb, _ in one.calls]


# ---------------------------------------------------------------- looking


@pytest.mark.parametrize(
    ("live", "owner", "verdict"),
    [
        (None, None, Verdict.MISSING),
        (PROMISE, "w", Verdict.OK),
        ({"size": 2, "hand": True}, "w", Verdict.DRIFTED),
        ({**PROMISE, "more": 1}, "w", Verdict.DRIFTED),
        (PROMISE, None, Verdict.FOREIGN),
        (PROMISE, "another", Verdict.FOREIGN),
        ({}, None, Verdict.FOREIGN),
    ],
)
def test_each_thing_found_has_its_verdict(live, owner, verdict):
    one = thing("a", live, owner=owner)
    assert look(one, AWS).verdict is verdict
    assert finding(one).verdict is verdict


def test_a_drift_is_told_at_its_path():
    found = look(thing("a", {"size": 2, "hand": True}), AWS)
    assert found.differences == (Difference("size", 1, 2),)
    assert found.error is None


@pytest.mark.parametrize("live", [None, PROMISE])
def test_what_is_not_ours_or_not_there_is_not_compared(live):
    assert look(thing("a", live, owner="another"), AWS).differences == ()


@pytest.mark.parametrize("error", [refused(), NoCredentialsError(), ResponseParserError("no")])
def test_denied_is_not_absent(error):
    found = look(thing("a", fails=error), AWS)
    assert found.verdict is Verdict.UNKNOWN
    assert found.error.problem.startswith("looking at thing a: ")


def test_a_complaint_of_ours_while_looking_is_passed_on_as_it_is():
    ours = ConfigError("an endpoint is no URL")
    found = look(thing("a", fails=ours), AWS)
    assert (found.verdict, found.error) == (Verdict.UNKNOWN, ours)


def test_a_fault_of_our_own_is_not_taken_for_aws_s():
    with pytest.raises(ZeroDivisionError):
        inspect([thing("a", fails=ZeroDivisionError())], AWS)


def test_everything_is_looked_at_at_once_and_told_in_order():
    meets = threading.Barrier(8)
    things = [thing(name, meets=meets) for name in "hgfedcba"]
    assert [one.resource.name for one in inspect(things, AWS)] == [*"hgfedcba"]


def test_each_thing_is_looked_at_made_and_deleted_in_its_own_region():
    far = thing("far", place=THERE)
    inspect([far], AWS)
    built(far)
    list(clear([Finding(far, Live(PROMISE, "w"))], AWS))
    assert far.calls == [("read", "us-east-1"), ("create", "us-east-1"), ("delete", "us-east-1")]


def test_only_by_hand_means_that_nothing_else_differs():
    assert finding(thing("a", {"size": 1, "hand": False})).only_by_hand
    assert not finding(thing("a", {"size": 2, "hand": False})).only_by_hand
    assert not finding(thing("a", PROMISE)).only_by_hand
    assert not finding(thing("a")).only_by_hand


@pytest.mark.parametrize(
    ("live", "settled"),
    [
        (PROMISE, True), ({"size": 1, "hand": False}, True), ({"size": 2, "hand": True}, False),
        (None, False),
    ],
)  # fmt: skip
def test_settled_is_what_needs_nothing_of_us(live, settled):
    assert finding(thing("a", live)).settled is settled
    assert not Finding(thing("a"), error=AwsError("no")).settled


# ---------------------------------------------------------------- building


def test_what_is_leaned_on_comes_first_and_each_step_is_told_as_it_starts_and_ends():
    ground = thing("ground")
    wall = thing("wall", None, ground)
    roof = thing("roof", {"size": 2, "hand": True}, wall)
    assert told(build([finding(one) for one in (roof, wall, ground)], AWS)) == [
        ("ground", "started"), ("ground", "created"),
        ("wall", "started"), ("wall", "created"),
        ("roof", "started"), ("roof", "repaired"),
    ]  # fmt: skip


def test_independent_things_are_built_side_by_side():
    meets = threading.Barrier(6)
    ground = thing("ground")
    things = [thing(name, None, ground, meets=meets) for name in "abcdef"]
    assert set(built(ground, *things).values()) == {"created"}


def test_a_thing_waits_for_nothing_but_what_it_leans_on():
    meets = threading.Barrier(2)
    slow = thing("slow", meets=meets)
    ground = thing("ground")
    roof = thing("roof", None, ground, meets=meets)
    assert set(built(slow, ground, roof).values()) == {"created"}


def test_what_is_as_promised_is_kept_without_a_call():
    one = thing("a", PROMISE)
    assert told(build([finding(one)], AWS)) == [("a", "kept")]
    assert one.calls == []


def test_what_only_a_person_can_mend_is_kept_and_told():
    one = thing("a", {"size": 1, "hand": False})
    [step] = build([finding(one)], AWS)
    assert (step.action, step.error) == (Action.KEPT, None)
    assert step.differences == (Difference("hand", True, False),)
    assert one.calls == []


def test_what_also_differs_otherwise_is_repaired_and_the_repair_says_what():
    one = thing("a", {"size": 2, "hand": False})
    steps = list(build([finding(one)], AWS))
    assert [step.action for step in steps] == [Action.STARTED, Action.REPAIRED]
    assert [difference.path for difference in steps[-1].differences] == ["hand", "size"]
    assert verbs(one) == ["write"]


def test_a_failure_skips_what_leans_on_it_by_name_and_the_rest_is_built():
    ground = thing("ground", fails=refused("LimitExceeded"))
    wall, other = thing("wall", None, ground), thing("other")
    roof = thing("roof", None, wall)
    steps = {
        step.resource.name: step
        for step in build([finding(one) for one in (ground, wall, roof, other)], AWS)
        if step.action is not Action.STARTED
    }
    assert {name: step.action.value for name, step in steps.items()} == {
        "ground": "failed", "wall": "skipped", "roof": "skipped", "other": "created",
    }  # fmt: skip
    assert steps["wall"].error.problem == "waits for thing ground"
    assert steps["roof"].error.problem == "waits for thing wall"
    assert wall.calls == roof.calls == []


def test_what_aws_refuses_becomes_a_sentence():
    new, old = thing("new", fails=refused()), thing("old", {}, fails=refused())
    failed = {
        step.resource.name: step.error
        for step in build([finding(new), finding(old)], AWS)
        if step.action is Action.FAILED
    }
    assert failed["new"].problem == "creating thing new: DoIt answered AccessDenied: no"
    assert failed["old"].problem.startswith("repairing thing old: ")
    assert failed["new"].denied


def test_a_complaint_of_ours_is_passed_on_as_it_is():
    ours = ConfigError("a target was refused", "look")
    *_, step = build([finding(thing("a", fails=ours))], AWS)
    assert (step.action, step.error) == (Action.FAILED, ours)


def test_what_cannot_be_reached_fails_with_a_sentence():
    for error, said in (
        (NoCredentialsError(), "no AWS credentials were found"),
        (ResponseParserError("a page"), "what answered is not AWS"),
    ):
        *_, step = build([finding(thing("a", fails=error))], AWS)
        assert step.action is Action.FAILED
        assert said in step.error.problem


def test_what_must_stay_confidential_is_in_no_complaint():
    @dataclass(frozen=True, kw_only=True, eq=False)
    class Discreet(Thing):
        confidential = ("s3cret",)

    error = ClientError({"Error": {"Code": "Invalid", "Message": "not s3cret, please"}}, "DoIt")
    one = thing("a", kind=Discreet, fails=error)
    for told_of in (look(one, AWS), [*build([finding(one)], AWS)][-1]):
        assert "not (secret), please" in told_of.error.problem
        assert told_of.error.code == "Invalid"


def test_a_fault_of_our_own_is_not_told_as_a_failed_step():
    with pytest.raises(ZeroDivisionError):
        list(build([finding(thing("a", fails=ZeroDivisionError()))], AWS))


def test_a_strangers_thing_is_left_alone_and_what_leans_on_it_is_skipped():
    theirs = thing("theirs", {"size": 2}, owner="another")
    ours, other = thing("ours", None, theirs), thing("other")
    assert built(theirs, ours, other) == {
        "theirs": "skipped", "ours": "skipped", "other": "created",
    }  # fmt: skip
    assert theirs.calls == ours.calls == []


def test_what_could_not_be_looked_at_fails_without_a_call():
    dark = thing("dark")
    top = thing("top", None, dark)
    steps = list(build([unknown(dark), finding(top)], AWS))
    assert told(steps) == [("dark", "failed"), ("top", "skipped")]
    assert steps[0].error.problem == "may not look"
    assert dark.calls == top.calls == []


def test_a_part_can_be_built_alone():
    ground = thing("ground")
    assert built(thing("roof", {"size": 2, "hand": True}, ground)) == {"roof": "repaired"}
    assert ground.calls == []


def test_a_second_build_goes_on_from_where_the_first_failed():
    ground = thing("ground", PROMISE)
    assert built(ground, thing("wall", None, ground)) == {"ground": "kept", "wall": "created"}


# ---------------------------------------------------------------- clearing


def test_what_leans_goes_before_what_it_leans_on():
    ground = thing("ground", PROMISE)
    wall = thing("wall", {"size": 2}, ground)
    roof = thing("roof", PROMISE, wall, ground)
    assert told(clear([finding(one) for one in (ground, wall, roof)], AWS)) == [
        ("roof", "started"), ("roof", "deleted"),
        ("wall", "started"), ("wall", "deleted"),
        ("ground", "started"), ("ground", "deleted"),
    ]  # fmt: skip


def test_what_a_tied_thing_leans_on_goes_as_soon_as_it_is_untied():
    meets = threading.Barrier(2)
    ground = thing("ground", PROMISE, meets=meets)
    roof = thing("roof", PROMISE, ground, kind=Tied, meets=meets)  # deleted only beside the ground
    assert cleared(ground, roof) == {"roof": "deleted", "ground": "deleted"}
    assert verbs(roof) == ["untie", "delete"]


def test_a_tied_thing_that_cannot_be_untied_stays_and_so_does_what_it_leans_on():
    ground = thing("ground", PROMISE)
    roof = thing("roof", PROMISE, ground, kind=Tied, fails=refused())
    assert cleared(ground, roof) == {"roof": "failed", "ground": "skipped"}
    assert (verbs(roof), verbs(ground)) == (["untie"], [])


def test_what_goes_with_another_is_gone_when_that_is_and_holds_nothing_up():
    topic, listener = thing("topic", PROMISE), thing("listener", PROMISE)
    between = thing("between", PROMISE, topic, listener, kind=Carried)
    assert told(clear([finding(one) for one in (between, topic)], AWS))[-1:] == [
        ("between", "deleted")
    ]
    assert cleared(between, topic, listener) == dict.fromkeys(
        ("topic", "listener", "between"), "deleted"
    )
    assert verbs(between) == []


@pytest.mark.parametrize("topic", [{}, {"owner": "another"}, {"kind": "Precious"}])
def test_what_would_go_with_what_does_not_go_goes_by_itself(topic):
    holder = thing("topic", PROMISE, **({"kind": Precious} if "kind" in topic else topic))
    between = thing("between", PROMISE, holder, kind=Carried)
    alone = {"between"} if topic else {"between", "topic"}
    done = cleared(between, holder)
    assert {name for name, action in done.items() if action == "deleted"} == alone
    assert verbs(between) == (["delete"] if topic else [])


def test_what_goes_with_what_could_not_be_deleted_stays_with_it():
    topic = thing("topic", PROMISE, fails=refused())
    between = thing("between", PROMISE, topic, kind=Carried)
    assert cleared(between, topic) == {"topic": "failed", "between": "skipped"}


def test_independent_things_are_cleared_side_by_side():
    meets = threading.Barrier(6)
    ground = thing("ground", PROMISE)
    things = [thing(name, PROMISE, ground, meets=meets) for name in "abcdef"]
    assert set(cleared(ground, *things).values()) == {"deleted"}


def test_data_is_kept_unless_told():
    assert cleared(thing("logs", PROMISE, kind=Precious)) == {"logs": "kept"}
    assert cleared(thing("logs", PROMISE, kind=Precious), keep_data=False) == {"logs": "deleted"}
    assert cleared(thing("logs", kind=Precious)) == {"logs": "skipped"}


def test_what_is_not_there_is_skipped_without_a_word():
    [step] = clear([finding(thing("a"))], AWS)
    assert (step.action, step.error) == (Action.SKIPPED, None)


def test_a_failed_deletion_keeps_what_it_leaned_on():
    ground, other = thing("ground", PROMISE), thing("other", PROMISE)
    roof = thing("roof", PROMISE, ground, fails=refused())
    assert cleared(ground, roof, other) == {
        "roof": "failed", "ground": "skipped", "other": "deleted",
    }  # fmt: skip
    assert ground.calls == []


def test_after_a_failed_deletion_all_goes_that_it_does_not_lean_on():
    """Also what comes later, and what leans on what stays."""
    ground, meadow = thing("ground", PROMISE), thing("meadow", PROMISE)
    roof = thing("roof", PROMISE, ground, fails=refused())
    fence = thing("fence", PROMISE, thing("wood", PROMISE), ground, meadow)
    barn = thing("barn", PROMISE, meadow)
    well = thing("well", PROMISE)
    assert cleared(roof, ground, fence, *fence.leans_on[:1], barn, meadow, well) == {
        "roof": "failed", "ground": "skipped", "fence": "deleted", "wood": "deleted",
        "barn": "deleted", "meadow": "deleted", "well": "deleted",
    }  # fmt: skip


def test_a_failed_deletion_is_told_with_what_waits_for_it():
    ground = thing("ground", PROMISE)
    roof = thing("roof", PROMISE, ground, fails=refused())
    errors = {
        step.resource.name: step.error.problem
        for step in clear([finding(ground), finding(roof)], AWS)
        if step.error
    }
    assert errors == {
        "roof": "deleting thing roof: DoIt answered AccessDenied: no",
        "ground": "waits for thing roof",
    }


def test_what_could_not_be_looked_at_keeps_what_it_leans_on():
    ground = thing("ground", PROMISE)
    dark = thing("dark", None, ground)
    assert ended(clear([finding(ground), unknown(dark)], AWS)) == {
        "dark": "failed", "ground": "skipped",
    }  # fmt: skip
    assert ground.calls == dark.calls == []


def test_a_strangers_thing_is_not_touched_and_keeps_nothing_of_ours():
    ground = thing("ground", PROMISE)
    theirs = thing("theirs", PROMISE, ground, owner="another")
    assert cleared(ground, theirs) == {"theirs": "skipped", "ground": "deleted"}
    assert theirs.calls == []


def test_what_a_thing_leans_on_need_not_be_among_what_is_cleared():
    ground = thing("ground", PROMISE)
    assert cleared(thing("roof", PROMISE, ground)) == {"roof": "deleted"}
    assert ground.calls == []


def test_a_failure_two_storeys_up_keeps_the_ground():
    ground = thing("ground", PROMISE)
    wall = thing("wall", PROMISE, ground)
    roof = thing("roof", PROMISE, wall, fails=refused())
    assert cleared(ground, wall, roof) == {
        "roof": "failed", "wall": "skipped", "ground": "skipped",
    }  # fmt: skip


# ---------------------------------------------------------------- at any time


def test_the_sentence_for_a_strangers_thing_names_it_and_the_tag():
    error = foreign(Finding(thing("a")))
    assert isinstance(error, ForeignError)
    assert error.problem.startswith("thing a is there already")
    assert "ctwatch:watch=w" in error.problem
    assert error.hint


@pytest.mark.parametrize("walk", [build, clear])
def test_nothing_to_do_is_done_at_once(walk):
    assert list(walk([], AWS)) == []


def test_steps_come_as_they_happen():
    gate = threading.Event()

    @dataclass(frozen=True, kw_only=True, eq=False)
    class Gated(Thing):
        def write(self, aws, live):
            assert gate.wait(10)
            super().write(aws, live)

    steps = build([finding(thing("quick")), finding(thing("slow", kind=Gated))], AWS)
    seen = deque()
    for step in steps:
        seen.append((step.resource.name, step.action))
        if step.resource.name == "quick" and step.action is Action.CREATED:
            gate.set()
    assert seen[-1] == ("slow", Action.CREATED)


def test_a_skipped_step_is_a_complaint_of_the_family():
    ground = thing("ground", fails=refused())
    steps = build([finding(ground), finding(thing("roof", None, ground))], AWS)
    assert all(isinstance(step.error, CtwatchError) for step in steps
               if step.action in {Action.SKIPPED, Action.FAILED})  # fmt: skip
