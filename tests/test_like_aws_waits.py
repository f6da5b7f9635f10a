"""Each wait of ctwatch's is needed on an AWS that is slow to agree: without it something fails.

That nothing fails with all of them is for `test_like_aws_seeds`.
"""

from collections.abc import Iterator

import pytest
from slow_world import SlowWorld, lasting, slow_world
from watch_world import CONFIGS, PLAIN

from ctwatch.aws import Aws
from ctwatch.resources.rule import Rule
from ctwatch.sandbox import slowness as slow
from ctwatch.watch import Watch

pytestmark = pytest.mark.exhaustive

UP, DOWN = ("up",), ("down", "--yes", "--delete-logs")


@pytest.fixture
def world(tmp_path) -> Iterator[SlowWorld]:
    with slow_world(tmp_path, seed=1) as made:
        yield made


def believe_at_once(monkeypatch, refusal):
    """Wait for everything but for one refusal."""
    patiently = Aws.patiently

    def hasty(self, call, *, code, **others):
        codes = (code,) if isinstance(code, str) else tuple(code)
        return patiently(self, call, code=tuple(x for x in codes if x != refusal), **others)

    monkeypatch.setattr(Aws, "patiently", hasty)


def ended(world: SlowWorld, *runs: tuple[str, ...]) -> list[tuple[int, str]]:
    """How each run ended; the last is the one that is to fail."""
    done = [world.run(*arguments) for arguments in runs]
    return [(one.code, one.text) for one in done]


@pytest.mark.parametrize(
    ("refusal", "lag", "story"),
    [
        ("InvalidParameterValueException", slow.ROLE, ("plain", UP)),
        ("ResourceConflictException", slow.PENDING, ("plain", UP)),
        ("InsufficientS3BucketPolicyException", slow.BUCKET_POLICY, ("plain", UP)),
        ("NoSuchBucket", slow.BUCKET, ("plain", UP)),
        ("ConflictException", slow.LOADING, ("plain", UP)),
        ("ValidationException", slow.ROLE, ("elsewhere", UP)),
        ("ValidationException", slow.TARGETS, ("plain", UP, DOWN)),
        ("QueueDeletedRecently", slow.QUEUE_NAME, ("plain", UP, DOWN, UP)),
    ],
)
def test_a_refusal_that_is_believed_at_once_ends_a_run(world, monkeypatch, refusal, lag, story):
    config, *runs = story
    world.use(CONFIGS[config])
    lasting(monkeypatch, lag, max(30.0, lag.least))
    believe_at_once(monkeypatch, refusal)
    *before, (code, said) = ended(world, *runs)
    assert [code for code, _ in before] == [0] * len(before)
    assert (code, refusal in said) == (1, True)


@pytest.mark.parametrize(
    ("refusal", "lag"), [("StaleTag", slow.TOPIC_GONE), ("OperationAborted", slow.BUCKET_GONE)]
)
def test_one_who_does_not_wait_for_the_old_to_go_needs_to_wait_for_its_name(
    world, monkeypatch, refusal, lag
):
    world.use(PLAIN)
    monkeypatch.setattr("ctwatch.verbs.down._SHOWN", 0)
    lasting(monkeypatch, lag)
    believe_at_once(monkeypatch, refusal)
    assert refusal in ended(world, UP, DOWN, UP)[-1][1]


def test_up_that_believes_its_first_look_says_not_yet(world, monkeypatch):
    world.use(PLAIN)
    monkeypatch.setattr("ctwatch.verbs.up._SETTLES", 0)
    lasting(monkeypatch, slow.LISTING)
    assert ended(world, UP)[-1][0] == 3


def test_down_that_believes_its_first_look_says_that_something_is_left(world, monkeypatch):
    world.use(PLAIN)
    monkeypatch.setattr("ctwatch.verbs.down._SHOWN", 0)
    lasting(monkeypatch, slow.QUEUE_GONE)
    assert [code for code, _ in ended(world, UP, DOWN)] == [0, 1]


def standing(world: SlowWorld, config: str = "plain") -> Watch:
    """A watch that everybody knows of."""
    world.use(CONFIGS[config])
    assert world.run("up").code == 0
    world.settle()
    return world.open().watch


def test_a_drill_that_believes_its_first_look_says_that_the_trail_is_not_mended(world, monkeypatch):
    world.client("cloudtrail").stop_logging(Name=standing(world).trail.name)
    world.settle()
    monkeypatch.setattr("ctwatch.striking._SHOWS", 0)
    lasting(monkeypatch, slow.TRAIL_READ)
    [(code, said)] = ended(world, ("simulate", "--heal"))
    assert (code, "trail ct-trail-monitor" in said) == (1, True)


def test_what_a_role_has_just_been_allowed_has_to_be_waited_for_by_the_function(world, monkeypatch):
    function = standing(world).function
    iam, policy = world.client("iam"), next(iter(function.role.wanted["inline"]))
    iam.delete_role_policy(RoleName=function.role.name, PolicyName=policy)
    world.client("lambda").delete_function_event_invoke_config(FunctionName=function.name)
    world.settle()
    believe_at_once(monkeypatch, "InvalidParameterValueException")
    lasting(monkeypatch, slow.ROLE_POLICY)
    [(code, said)] = ended(world, UP)
    assert (code, "PutFunctionEventInvokeConfig" in said) == (1, True)


def test_what_a_role_has_just_been_allowed_has_to_be_waited_for_by_the_trail(world, monkeypatch):
    trail = standing(world, "rich").trail
    iam, name = world.client("iam"), trail.log_role.name
    iam.delete_role_policy(RoleName=name, PolicyName=next(iter(trail.log_role.wanted["inline"])))
    world.client("cloudtrail", trail.place.region).update_trail(
        Name=trail.name, CloudWatchLogsLogGroupArn="", CloudWatchLogsRoleArn=""
    )
    world.settle()
    believe_at_once(monkeypatch, "InvalidCloudWatchLogsRoleArnException")
    lasting(monkeypatch, slow.ROLE_POLICY)
    [(code, said)] = ended(world, UP)
    assert (code, "InvalidCloudWatchLogsRoleArnException" in said) == (1, True)


def test_a_function_that_was_just_changed_cannot_be_deleted_at_once(world, monkeypatch):
    name = standing(world).function.name
    believe_at_once(monkeypatch, "ResourceConflictException")
    lasting(monkeypatch, slow.UPDATING, 99)
    world.client("lambda").update_function_configuration(FunctionName=name, Timeout=29)
    [(code, said)] = ended(world, ("down", "--yes", "--wait", "0"))
    assert (code, "ResourceConflictException" in said) == (1, True)


@pytest.mark.parametrize(("again", "expected"), [(True, 0), (False, 1)])
def test_a_target_that_came_after_the_look_goes_by_looking_again(
    world, monkeypatch, again, expected
):
    late = [{"Id": "late", "Arn": standing(world).receipts.arn}]
    untie = Rule.untie

    def beset(self, aws, live):
        untie(self, aws, live)
        world.client("events").put_targets(Rule=self.name, Targets=late)

    monkeypatch.setattr(Rule, "untie", beset)
    if not again:
        monkeypatch.setattr(Rule, "_remove_all", lambda *_: None)
    assert [code for code, _ in ended(world, DOWN)] == [expected]
