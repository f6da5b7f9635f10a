"""What holds for every resource of every watch, whatever it is.

No law names a resource: what is told here is told of `watch.resources`, of their promises and of
the calls that the sandbox has seen. A new resource is tested by being in the watch.
"""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import botocore.session
import pytest
from watch_world import (
    CONFIGS,
    PLACE,
    PLAIN,
    PLAIN_SECRET,
    Ran,
    World,
    answering,
    leaning,
    planned,
    world_of,
)

from ctwatch.bundle import bundle
from ctwatch.diagnose import diagnose
from ctwatch.diff import compare
from ctwatch.engine import build, clear, inspect, look
from ctwatch.findings import Action, Finding, Step, Verdict
from ctwatch.opening import Opened
from ctwatch.permissions import Actions
from ctwatch.resources.base import TAG, Live, Resource
from ctwatch.resources.key import ALIAS_TAG
from ctwatch.resources.role import HOME
from ctwatch.sandbox.server import Observed, Sandbox
from ctwatch.watch import Watch

# Hundreds of times over the same lines, which the other tests cover: what counts here is time.
pytestmark = pytest.mark.usefixtures("unmeasured")

WATCHES = {name: planned(config) for name, config in CONFIGS.items()}
TAGGED = [one for one in WATCHES["plain"].resources if one.kind != "subscription"]
BUCKET = "s3 bucket"


@pytest.fixture(scope="module")
def world(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("watch")) as world:
        yield world


@pytest.fixture
def empty(world: World) -> World:
    """An empty account, the plain config, and no wire cut."""
    world.refuse = lambda *_: None
    world.use(PLAIN)
    return world


@dataclass(frozen=True)
class Act:
    """Something that was done: its steps, and the calls that the sandbox saw."""

    steps: tuple[Step, ...]
    calls: tuple[Observed, ...]

    @property
    def writes(self) -> list[Observed]:
        return [one for one in self.calls if one.writes]

    def ended(self, resource: Resource) -> Step:
        [step] = [one for one in self.steps if one.resource is resource and _is_end(one)]
        return step


def _is_end(step: Step) -> bool:
    return step.action is not Action.STARTED


@dataclass(frozen=True)
class Life:
    """A watch from nothing to nothing, written down so that many tests may read it."""

    watch: Watch
    before: list[Finding]
    up: Act
    after: list[Finding]
    again: Act
    with_clicks: list[Finding]
    down: Act
    left: list[str]
    purge: Act
    left_then: list[str]
    gone: list[Finding]


def act(world: World, steps: Callable[[], Iterator[Step]]) -> Act:
    with world.sandbox.recording() as calls:
        taken = tuple(steps())
    return Act(taken, tuple(calls))


@pytest.fixture(scope="module", params=CONFIGS)
def life(world: World, request: pytest.FixtureRequest) -> Life:
    world.refuse = lambda *_: None
    world.use(CONFIGS[request.param])
    here = world.open()
    watch, aws = here.watch, here.aws

    def inspected() -> list[Finding]:
        return inspect(watch.resources, aws)

    before = inspected()
    up = act(world, lambda: build(before, aws))
    after = inspected()
    again = act(world, lambda: build(after, aws))
    world.click()
    with_clicks = inspected()
    _fill(world, watch)
    down = act(world, lambda: clear(with_clicks, aws))
    left = world.sandbox.listing()
    kept = inspected()
    purge = act(world, lambda: clear(kept, aws, keep_data=False))
    left_then = world.sandbox.listing()
    return Life(watch, before, up, after, again, with_clicks, down, left, purge, left_then,
                inspected())  # fmt: skip


def _fill(world: World, watch: Watch) -> None:
    """Objects, old versions and delete markers, as a trail and its keepers leave them."""
    s3 = world.client("s3")
    for number in range(3):
        s3.put_object(Bucket=watch.bucket.name, Key=f"AWSLogs/{number % 2}", Body=b"log")
    s3.delete_object(Bucket=watch.bucket.name, Key="AWSLogs/0")


# Promises


@pytest.mark.parametrize("name", CONFIGS)
def test_titles_and_arns_are_unambiguous(name: str) -> None:
    resources = WATCHES[name].resources
    assert len({one.title for one in resources}) == len(resources)
    arns = [one.arn for one in resources if one.kind != "subscription"]
    assert len(set(arns)) == len(arns)


@pytest.mark.parametrize("name", CONFIGS)
def test_whatever_a_resource_leans_on_is_in_the_watch(name: str) -> None:
    resources = WATCHES[name].resources
    assert {need for one in resources for need in one.needs} <= set(resources)


def test_the_trail_waits_for_nothing_but_its_bucket() -> None:
    for name, watch in WATCHES.items():
        asked = {"key", "log group", "role", "topic"} if name == "rich" else set()
        assert {one.kind for one in watch.trail.needs} == {"bucket", *asked}
        assert watch.bucket.needs == ()


# From nothing to nothing


def test_at_first_everything_is_absent(life: Life) -> None:
    assert [one.resource.title for one in life.before if one.verdict is not Verdict.MISSING] == []


def test_after_up_every_promise_is_true_but_for_the_clicks(life: Life) -> None:
    assert [step.error for step in life.up.steps if step.error] == []
    amiss = [one for one in life.after if one.verdict is not Verdict.OK]
    assert {one.resource for one in amiss} == set(life.watch.people)
    assert all(one.only_by_hand for one in amiss)
    assert [one.resource.title for one in life.with_clicks if one.verdict is not Verdict.OK] == []


def test_every_resource_is_created_once(life: Life) -> None:
    ended = [step for step in life.up.steps if _is_end(step)]
    assert [step.resource for step in ended if step.action is not Action.CREATED] == []
    assert {step.resource for step in ended} == set(life.watch.resources)
    assert len(ended) == len(life.watch.resources)


def test_a_second_up_writes_nothing(life: Life) -> None:
    assert [one.operation for one in life.again.writes] == []
    assert {step.action for step in life.again.steps} == {Action.KEPT}


def test_nothing_that_up_calls_is_refused(life: Life) -> None:
    """Also not by being there already: what is looked up first is not tried in vain."""
    assert [(one.operation, one.error) for one in life.up.writes if one.error] == []


def test_down_leaves_nothing_but_the_kept_bucket(life: Life) -> None:
    kept = [f"{BUCKET} {life.watch.bucket.name}"]
    kept += [f"kms alias {one.alias}" for one in life.watch.keys]
    kept += [f"logs log-group {one.name}" for one in (life.watch.trail.log_group,) if one]
    assert [line for line in life.left if not line.startswith("kms key")] == sorted(kept)
    assert len(life.left) == len(kept) + len(life.watch.keys)


def test_down_keeps_data_unless_told(life: Life) -> None:
    for one in life.watch.resources:
        expected = Action.KEPT if one.data else Action.DELETED
        assert life.down.ended(one).action is expected, one.title


def test_told_to_delete_the_logs_down_leaves_nothing_at_all(life: Life) -> None:
    assert life.left_then == []
    assert [one.resource.title for one in life.gone if one.verdict is not Verdict.MISSING] == []


def test_what_is_leaned_on_is_there_before_what_leans_on_it(life: Life) -> None:
    for one in life.watch.resources:
        for need in one.needs:
            assert _end(life.up, need) < _start(life.up, one), (need.title, one.title)


LEANS_NO_MORE = {
    "function": ("DeleteFunction", "FunctionName"),
    "rule": ("RemoveTargets", "Rule"),
    "trail": ("DeleteTrail", "Name"),
}
GOES = {
    **LEANS_NO_MORE,
    "log group": ("DeleteLogGroup", "logGroupName"),
    "queue": ("DeleteQueue", "QueueUrl"),
    "role": ("DeleteRole", "RoleName"),
    "rule": ("DeleteRule", "Name"),
    "secret": ("DeleteParameter", "Name"),
    "topic": ("DeleteTopic", "TopicArn"),
}
"""By kind of resource, the call that ends it, and the parameter that names it."""


def test_what_leans_on_a_thing_leans_on_it_no_more_before_it_goes(life: Life) -> None:
    for one in life.watch.resources:
        if one.kind == "subscription":  # SNS deletes it with its topic
            assert _end(life.down, one.goes_with) < _end(life.down, one)
            continue
        for need in one.needs:
            if not need.data:
                free, gone = _call(life.down, LEANS_NO_MORE, one), _call(life.down, GOES, need)
                assert free < gone, (one.title, need.title)


def _call(done: Act, table: dict[str, tuple[str, str]], one: Resource) -> int:
    """Where among the writes stands the one call that the table has for this."""
    operation, parameter = table[one.kind]

    def names(call: Observed) -> bool:
        told = str(call.params[parameter])
        here = one.kind == "role" or call.call.region == one.place.region
        return here and (told in {one.name, one.arn} or told.endswith(f"/{one.name}"))

    calls = enumerate(done.writes)
    [found] = [at for at, call in calls if call.operation == operation and names(call)]
    return found


def _start(done: Act, resource: Resource) -> int:
    return [step.resource for step in done.steps].index(resource)


def _end(done: Act, resource: Resource) -> int:
    return done.steps.index(done.ended(resource))


# Tags


@cache
def _service(name: str) -> Any:
    return botocore.session.get_session().get_service_model(name)


def _tag_members(observed: Observed) -> list[str]:
    """The input members of an operation that hold tags, as botocore knows them."""
    shape: Any = _service(observed.service).operation_model(observed.operation).input_shape
    nested = getattr(shape.members.get("CreateBucketConfiguration"), "members", {})
    found = [name for name in shape.members if name.lower() in {"tags", "tagslist"}]
    return found + [f"CreateBucketConfiguration.{name}" for name in nested if name == "Tags"]


def _given(observed: Observed, path: str) -> Any:
    value: Any = observed.params
    for key in path.split("."):
        value = value.get(key, {})
    return value


def _as_pairs(tags: Any) -> dict[str, str]:
    if isinstance(tags, dict):
        return dict(tags)
    return {
        tag.get("Key", tag.get("TagKey")): tag.get("Value", tag.get("TagValue")) for tag in tags
    }


def test_every_create_that_can_carry_a_tag_carries_ours_in_the_same_call(life: Life) -> None:
    carried = set()
    for one in life.up.writes:
        for path in _tag_members(one):
            given = _as_pairs(_given(one, path))
            if one.operation == "CreateKey":
                assert given.pop(ALIAS_TAG) in {key.alias for key in life.watch.keys}
            if one.operation == "CreateRole":
                assert given.pop(HOME) == life.watch.place.region
            assert given == {**life.watch.trail.labels, TAG: life.watch.name}, one.operation
            carried.add(one.operation)
    expected = {"CreateBucket", "CreateTrail", "CreateTopic", "CreateQueue", "PutRule"}
    if life.watch.function:
        expected |= {"CreateRole", "CreateLogGroup", "CreateFunction"}
        expected |= {"PutParameter"} if life.watch.function.secrets else set()
    expected |= {"CreateKey"} if life.watch.keys else set()
    assert carried == expected


def test_tags_are_never_put_on_afterwards(life: Life) -> None:
    assert [one.operation for one in life.up.writes if "tag" in one.operation.lower()] == []


def test_a_secret_is_created_without_overwrite(life: Life) -> None:
    puts = [one.params for one in life.up.writes if one.operation == "PutParameter"]
    assert not any(one.get("Overwrite") for one in puts)


# The order of down


def test_what_the_alarm_listens_for_is_deleted_first_and_while_it_still_logs(empty: World) -> None:
    assert empty.run("up").code == 0
    with empty.sandbox.recording() as calls:
        down = empty.run("down", "--yes", "--wait", "10")
    writes = [one.operation for one in calls if one.writes]
    assert writes[0] == "DeleteTrail"
    assert "StopLogging" not in writes
    assert "its deletion was heard" in down.err
    assert down.code == 0


# Side by side


@dataclass(frozen=True, kw_only=True, eq=False)
class Meeting(Resource):
    """Can only be written or deleted while another one is."""

    barrier: threading.Barrier
    kind = "meeting"
    actions = Actions(read=())

    @property
    def arn(self) -> str:
        return self.name

    @property
    def wanted(self) -> dict[str, Any]:
        return {}

    def read(self, _: Any) -> Live | None:
        self.barrier.wait(5)

    def write(self, *_: Any) -> None:
        self.barrier.wait(5)

    def delete(self, _: Any) -> None:
        self.barrier.wait(5)


@pytest.fixture
def meeting() -> list[Meeting]:
    barrier = threading.Barrier(2)
    return [Meeting(name=name, place=PLACE, watch="w", barrier=barrier) for name in "ab"]


def test_independent_resources_are_looked_at_side_by_side(meeting, empty: World) -> None:
    findings = inspect(meeting, empty.open().aws)
    assert [one.verdict for one in findings] == [Verdict.MISSING] * 2


def test_independent_resources_are_built_side_by_side(meeting, empty: World) -> None:
    steps = list(build([Finding(one) for one in meeting], empty.open().aws))
    assert [step.action for step in steps if _is_end(step)] == [Action.CREATED] * 2


def test_independent_resources_are_cleared_side_by_side(meeting, empty: World) -> None:
    findings = [Finding(one, Live({}, "w")) for one in meeting]
    steps = list(clear(findings, empty.open().aws))
    assert [step.action for step in steps if _is_end(step)] == [Action.DELETED] * 2


# Strangers


def _strangers_bucket(world: World, bucket: Resource) -> None:
    world.client("s3").create_bucket(
        Bucket=bucket.name,
        BucketNamespace="account-regional",
        CreateBucketConfiguration={"LocationConstraint": PLACE.region},
    )


def _strangers_trail(world: World, trail: Resource) -> None:
    s3, name = world.client("s3"), "the-strangers-logs"
    where = {"LocationConstraint": PLACE.region}
    s3.create_bucket(Bucket=name, CreateBucketConfiguration=where)
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "cloudtrail.amazonaws.com"},
        "Action": "s3:*",
        "Resource": [f"arn:aws:s3:::{name}", f"arn:aws:s3:::{name}/*"],
        "Condition": {"StringEquals": {"aws:SourceArn": trail.arn}},
    }
    s3.put_bucket_policy(Bucket=name, Policy=_policy(allow))
    world.client("cloudtrail").create_trail(Name=trail.name, S3BucketName=name)


def _strangers_role(world: World, role: Resource) -> None:
    principal = {"Service": "lambda.amazonaws.com"}
    trust = _policy({"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"})
    world.client("iam").create_role(RoleName=role.name, AssumeRolePolicyDocument=trust)


def _strangers_function(world: World, function: Resource) -> None:
    role = replace(WATCHES["plain"].function.role, name="the-strangers-role")
    _strangers_role(world, role)
    world.client("lambda").create_function(
        FunctionName=function.name,
        Runtime="python3.13",
        Handler="theirs.handler",
        Role=role.arn,
        Code={"ZipFile": bundle()},
    )


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements})


BY_HAND: dict[str, Callable[[World, Resource], Any]] = {
    "bucket": _strangers_bucket,
    "trail": _strangers_trail,
    "role": _strangers_role,
    "function": _strangers_function,
    "topic": lambda world, one: world.client("sns").create_topic(Name=one.name),
    "queue": lambda world, one: world.client("sqs").create_queue(QueueName=one.name),
    "rule": lambda world, one: world.client("events").put_rule(
        Name=one.name, EventPattern='{"source":["theirs"]}'
    ),
    "log group": lambda world, one: world.client("logs").create_log_group(logGroupName=one.name),
    "secret": lambda world, one: world.client("ssm").put_parameter(
        Name=one.name, Value="theirs", Type="String"
    ),
}

SUBJECTS = {
    "Bucket", "Name", "TopicArn", "QueueName", "QueueUrl", "FunctionName", "RoleName", "Rule",
    "logGroupName", "resourceArn", "ResourceArn", "ResourceARN", "ResourceId", "Resource",
}  # fmt: skip
"""Input members that name the thing a call acts upon."""


def acts_on(observed: Observed, resource: Resource) -> bool:
    given = [str(value) for key, value in observed.params.items() if key in SUBJECTS]
    name = resource.name.removeprefix("/")
    ends = (f":{name}", f"/{name}") if resource.kind != "function" else (f":{name}",)
    return any(value == resource.name or value.endswith(ends) for value in given)


@pytest.fixture(scope="module", params=TAGGED, ids=lambda one: one.title)
def strange(world: World, request: pytest.FixtureRequest) -> "Strange":
    """A stranger's thing under one of our names, and what each command does about it."""
    world.refuse = lambda *_: None
    world.use(PLAIN)
    BY_HAND[request.param.kind](world, request.param)
    here = world.open()
    [theirs] = [one for one in here.watch.resources if one.title == request.param.title]
    [before] = inspect([theirs], here.aws)
    with world.sandbox.recording() as calls:
        up = world.run("up")
        built = inspect(here.watch.resources, here.aws)
        down = tuple(clear(built, here.aws, keep_data=False))
    left = inspect(here.watch.resources, here.aws)
    return Strange(theirs, here.watch, before, up, built, down, left, calls)


@dataclass(frozen=True)
class Strange:
    """How it went."""

    theirs: Resource
    watch: Watch
    before: Finding
    up: Ran
    built: list[Finding]
    down: tuple[Step, ...]
    left: list[Finding]
    calls: list[Observed]

    @property
    def leaning(self) -> set[Resource]:
        return leaning(self.theirs, self.watch.resources)


def test_a_strangers_thing_is_not_taken_for_ours(strange: Strange) -> None:
    assert strange.before.verdict is Verdict.FOREIGN


def test_a_strangers_thing_is_not_written_by_up_nor_by_down(strange: Strange) -> None:
    touched = [
        one.operation for one in strange.calls if one.writes and acts_on(one, strange.theirs)
    ]
    assert touched == []
    [left] = [one for one in strange.left if one.resource is strange.theirs]
    assert left.live == strange.before.live


def test_what_leans_on_a_strangers_thing_is_skipped_and_named(strange: Strange) -> None:
    assert f"· skipped {strange.theirs.title}: is there already and is not" in strange.up.err
    for one in strange.leaning:
        assert f"· skipped {one.title}: waits for " in strange.up.err


def test_beside_a_strangers_thing_all_the_rest_is_built(strange: Strange) -> None:
    for one in strange.built:
        if one.resource is not strange.theirs and one.resource not in strange.leaning:
            assert one.verdict is Verdict.OK or one.only_by_hand, one.resource.title
            assert f"+ created {one.resource.title}" in strange.up.err


def test_a_strangers_thing_makes_up_exit_1(strange: Strange) -> None:
    assert strange.up.code == 1


def test_down_leaves_the_strangers_thing_and_nothing_else(strange: Strange) -> None:
    assert [step.resource for step in strange.down if step.error] == [strange.theirs]
    there = [one.resource for one in strange.left if one.verdict is not Verdict.MISSING]
    assert there == [strange.theirs]


def test_plan_and_status_and_down_say_what_is_not_ours(empty: World) -> None:
    topic = WATCHES["plain"].topic
    BY_HAND["topic"](empty, topic)
    plan = empty.run("plan")
    assert f"not ours {topic.title}" in plan.out
    assert f"{TAG}=ctwatch" in plan.out
    assert "1 not ours" in plan.err
    assert f"{topic.title} is there already and is not this watch's" in empty.run("status").out
    down = empty.run("down", "--yes")
    assert down.code == 0
    assert f"skipped {topic.title}" in down.err
    assert len(empty.sandbox.listing()) == 1


# Denied is not absent


READS = {
    "bucket": (
        "s3:HeadBucket", "s3:GetBucketVersioning", "s3:GetBucketEncryption",
        "s3:GetPublicAccessBlock", "s3:GetBucketOwnershipControls",
        "s3:GetBucketLifecycleConfiguration", "s3:GetBucketPolicy", "s3:GetBucketTagging",
    ),
    "trail": (
        "cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors",
        "cloudtrail:GetInsightSelectors", "cloudtrail:ListTags",
    ),
    "rule": (
        "events:DescribeRule", "events:ListTargetsByRule", "events:ListTagsForResource",
    ),
    "topic": (
        "sns:GetTopicAttributes", "sns:ListTagsForResource", "sns:ListSubscriptionsByTopic",
    ),
    "subscription": ("sns:ListSubscriptionsByTopic", "sns:GetSubscriptionAttributes"),
    "function": (
        "lambda:GetFunction", "lambda:GetPolicy", "lambda:GetFunctionEventInvokeConfig",
        "lambda:GetFunctionConcurrency",
    ),
    "role": (
        "iam:GetRole", "iam:ListRolePolicies", "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
    ),
    "log group": ("logs:DescribeLogGroups", "logs:ListTagsForResource"),
    "queue": ("sqs:GetQueueUrl", "sqs:GetQueueAttributes", "sqs:ListQueueTags"),
    "secret": ("ssm:GetParameter", "ssm:ListTagsForResource"),
}  # fmt: skip
"""The calls by which each kind is read; that these are all, is held by a test."""

EACH_READ = list(dict.fromkeys(call for calls in READS.values() for call in calls))
DENIALS = ("AccessDenied", "AccessDeniedException", "AuthorizationError", "403")


@pytest.fixture(scope="class")
def standing(world: World) -> World:
    """A watch that stands, for tests that change nothing."""
    world.refuse = lambda *_: None
    world.use(PLAIN)
    assert world.run("up").code == 0
    world.click()
    return world


class TestDenied:
    """AWS will not let us look."""

    def test_the_reads_listed_here_are_all_there_are(self, standing: World) -> None:
        standing.refuse = lambda *_: None
        here = standing.open()
        with standing.sandbox.recording() as calls:
            inspect(here.watch.resources, here.aws)
        assert {f"{one.service}:{one.operation}" for one in calls} == set(EACH_READ)
        assert not any(one.writes for one in calls)

    @pytest.mark.parametrize("call", EACH_READ)
    def test_what_may_not_be_looked_at_is_unknown(self, standing: World, call: str) -> None:
        here, denial = standing.open(), DENIALS[EACH_READ.index(call) % len(DENIALS)]
        kinds = {kind for kind, calls in READS.items() if call in calls}
        standing.refuse = denies(call, denial)
        findings = [
            look(one, here.aws) if one.kind in kinds else as_promised(one)
            for one in here.watch.resources
        ]
        done = act(standing, lambda: build(findings, here.aws))
        unknown = [one for one in findings if one.verdict is Verdict.UNKNOWN]
        assert {one.resource.kind for one in unknown} == kinds
        assert all(one.verdict in {Verdict.UNKNOWN, Verdict.OK} for one in findings)
        assert done.writes == []
        for one in unknown:
            assert call.split(":")[1] in one.error.problem
            assert done.ended(one.resource).action in {Action.FAILED, Action.SKIPPED}
            for other in leaning(one.resource, here.watch.resources):
                assert done.ended(other).error, other.title
        cleared = act(standing, lambda: clear(unknown, here.aws, keep_data=False))
        assert cleared.writes == []
        assert {step.action for step in cleared.steps} <= {Action.FAILED, Action.SKIPPED}

    @pytest.mark.parametrize("call", ["sns:GetTopicAttributes", "s3:GetBucketPolicy"])
    def test_up_exits_1_and_names_the_call_that_was_denied(
        self, standing: World, call: str
    ) -> None:
        standing.refuse = denies(call, "AccessDenied")
        up = standing.run("up")
        assert up.code == 1
        assert f"{call.split(':')[1]} answered AccessDenied" in up.err
        assert "ask for that permission" in up.err
        assert standing.run("plan").code == 1

    def test_tags_that_are_not_shown_are_unknown_and_not_a_strangers(self, standing: World) -> None:
        standing.refuse = lambda *_: None
        here = standing.open()
        function = here.watch.function
        assert function
        error = {"ErrorCode": "AccessDenied", "Message": "not authorized: lambda:ListTags"}
        hidden = {"TagsError": error, "Tags": None}
        with answering(here.aws.functions, "lambda.GetFunction", lambda one: one.update(hidden)):
            found = look(function, here.aws)
        assert found.verdict is Verdict.UNKNOWN
        assert found.error
        assert "lambda:ListTags" in found.error.problem

    def test_what_is_not_there_and_may_not_be_looked_at_is_not_created(self, world: World) -> None:
        world.use(PLAIN)
        world.refuse = denies("sns:GetTopicAttributes", "AuthorizationError")
        with world.sandbox.recording() as calls:
            assert world.run("up").code == 1
        made = {one.operation for one in calls if one.writes}
        assert not made & {"CreateTopic", "Subscribe", "PutRule"}
        assert made >= {"CreateTrail", "CreateQueue", "CreateFunction"}


def as_promised(one: Resource) -> Finding:
    return Finding(one, Live(one.wanted, one.watch))


def denies(call: str, code: str) -> Callable[..., tuple[str, str] | None]:
    """Refuse one operation as AWS refuses it."""
    said = f"User: arn:aws:iam::{PLACE.account}:user/u is not authorized to perform: {call}"
    return lambda service, name, _: (code, said) if f"{service}:{name}" == call else None


# Killed


class Killed(BaseException):
    """Ends the process; nothing in the code may catch it."""


class Killer:
    """Lets so many writes through, and from then on no call at all."""

    def __init__(self, lives: int) -> None:
        self.lives = lives
        self.dead = False
        self._lock = threading.Lock()

    def __call__(self, _: str, name: str, __: Any) -> None:
        with self._lock:
            if not self.dead and not name.startswith(("Get", "List", "Describe", "Head")):
                self.dead = self.lives == 0
                self.lives -= 1
            if self.dead:
                raise Killed


def killed(here: Opened, steps: Callable[[list[Finding]], Iterator[Step]]) -> bool:
    """Look and act; tell whether that was ended."""
    findings = inspect(here.watch.resources, here.aws)
    assert not [one for one in findings if one.verdict is Verdict.FOREIGN]
    assert not [one for one in findings if one.verdict is Verdict.UNKNOWN]
    try:
        assert not [step.error for step in steps(findings) if step.error]
    except Killed:
        return True
    return False


def test_a_watch_built_one_call_at_a_time_between_kills_is_whole_in_the_end(empty: World) -> None:
    """Each look after a kill finds what a kill between two calls leaves."""
    here, kills = empty.open(), 0
    empty.refuse = Killer(1)
    while killed(here, lambda findings: build(findings, here.aws)):
        empty.refuse = Killer(1)
        kills += 1
    empty.refuse = lambda *_: None
    empty.click()
    assert kills >= len(here.watch.resources)
    assert {one.verdict for one in inspect(here.watch.resources, here.aws)} == {Verdict.OK}


def test_a_watch_cleared_bit_by_bit_between_kills_is_gone_in_the_end(
    empty: World,
) -> None:
    assert empty.run("up").code == 0
    here, kills = empty.open(), 0
    empty.refuse = Killer(1)
    while killed(here, lambda findings: clear(findings, here.aws, keep_data=False)):
        kills += 1
        empty.refuse = Killer(kills + 1)
    empty.refuse = lambda *_: None
    assert kills > 3
    assert empty.sandbox.listing() == []


@pytest.mark.parametrize("lives", [0, 4, 9, 14, 19])
def test_one_up_is_enough_after_one_that_was_killed(empty: World, lives: int) -> None:
    empty.refuse = Killer(lives)
    here = empty.open()
    assert killed(here, lambda findings: build(findings, here.aws))
    empty.refuse = lambda *_: None
    up = empty.run("up")
    assert up.code == 0
    assert "Only a click is missing" in up.err


# Secrets


@pytest.mark.parametrize("config", [PLAIN, PLAIN_SECRET], ids=["ssm", "env"])
def test_no_secret_is_in_any_output_state_or_repr(world: World, config: dict[str, Any]) -> None:
    world.refuse = lambda *_: None
    world.use(config)
    told: list[object] = [world.run("plan"), world.run("up", "-v")]
    told += [world.run("plan", "--json"), world.run("status", "-v", "--json")]
    here = world.open()
    told += [here.watch, *here.watch.resources, *(one.wanted for one in here.watch.resources)]
    findings = inspect(here.watch.resources, here.aws)
    told += [*findings, diagnose(here.watch, findings, here.aws)]
    told += [list(build(findings, here.aws)), [one.live.state for one in findings if one.live]]
    told += [world.run("down", "--yes", "--wait", "0", "--delete-logs")]
    token = world.sandbox.inbox.token
    assert [str(one) for one in told if token in str(one) or token in repr(one)] == []


@pytest.mark.parametrize("config", [PLAIN, PLAIN_SECRET], ids=["ssm", "env"])
def test_an_error_that_repeats_the_secret_is_not_repeated(
    world: World, config: dict[str, Any]
) -> None:
    """AWS says which value it does not like; some of it in the values' own words."""
    world.use(config)
    holders = {"PutParameter", "CreateFunction"}
    world.refuse = lambda _, name, params: (
        ("ValidationException", f"Value {params} is too long") if name in holders else None
    )
    up = world.run("up")
    assert up.code == 1
    assert world.refused
    assert "ValidationException" in up.err
    assert world.sandbox.inbox.token not in up.text


# Answers that say yes and mean no


FAILED_ENTRY = {"TargetId": "topic", "ErrorCode": "Internal", "ErrorMessage": "try again"}


def test_a_target_that_was_refused_in_an_answer_of_200_is_a_failed_step(empty: World) -> None:
    here = empty.open()
    rule = here.watch.rules[0]
    failed = {"FailedEntryCount": 1, "FailedEntries": [FAILED_ENTRY]}
    with answering(here.aws.events, "events.PutTargets", lambda parsed: parsed.update(failed)):
        done = act(empty, lambda: build(inspect([rule], here.aws), here.aws))
    step = done.ended(rule)
    assert step.action is Action.FAILED
    assert step.error
    assert "target topic was refused: Internal: try again" in step.error.problem


def test_objects_that_were_not_deleted_in_an_answer_of_200_are_a_failed_step(
    empty: World,
) -> None:
    here = empty.open()
    bucket = here.watch.bucket
    list(build(inspect([bucket], here.aws), here.aws))
    empty.client("s3").put_object(Bucket=bucket.name, Key="log", Body=b"")
    refused = {"Key": "log", "Code": "AccessDenied", "Message": "locked"}
    found = inspect([bucket], here.aws)
    errors = {"Errors": [refused]}
    with answering(here.aws.s3, "s3.DeleteObjects", lambda parsed: parsed.update(errors)):
        step = act(empty, lambda: clear(found, here.aws, keep_data=False)).ended(bucket)
    assert step.action is Action.FAILED
    assert step.error
    assert "1 version was not deleted, the first log: AccessDenied: locked" in step.error.problem


def test_down_deletes_a_role_to_which_somebody_has_given_more(empty: World) -> None:
    here = empty.open()
    role = here.watch.function.role if here.watch.function else None
    assert role
    iam = empty.client("iam")
    list(build(inspect([role], here.aws), here.aws))
    document = _policy({"Effect": "Allow", "Action": "s3:*", "Resource": "*"})
    theirs = iam.create_policy(PolicyName="theirs", PolicyDocument=document)["Policy"]["Arn"]
    iam.attach_role_policy(RoleName=role.name, PolicyArn=theirs)
    iam.put_role_policy(RoleName=role.name, PolicyName="more", PolicyDocument=document)
    cleared = act(empty, lambda: clear(inspect([role], here.aws), here.aws))
    assert cleared.ended(role).error is None
    assert empty.sandbox.listing() == ["iam policy theirs"]


# A promise and its drift


@pytest.mark.parametrize("one", WATCHES["rich"].resources, ids=lambda one: one.title)
def test_a_promise_is_json_shaped_and_equal_to_itself(one: Resource) -> None:
    again = json.loads(json.dumps(one.wanted))
    assert list(compare(one.wanted, again)) == []


def test_a_config_without_its_secret_is_looked_at_all_the_same(
    empty: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for config in (PLAIN, PLAIN_SECRET):
        empty.use(config)
        assert empty.run("up").code == 0
        empty.click()
        monkeypatch.delenv("DISCORD_WEBHOOK_URL")
        assert empty.run("status").code == 0
        assert empty.run("plan", "--exit-code").code == 0
        up = empty.run("up")
        assert up.code == 2
        assert "DISCORD_WEBHOOK_URL" in up.err
        monkeypatch.undo()
