"""`ctwatch policy`: what it prints is enough, is needed, fits what AWS takes, and protects.

That it is enough for every command of every other test is judged by `permitted`. Here one watch
that has everything lives under its policies alone: what they do not allow is refused.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
import yaml
from permitted import Judge, all_asked, allowed, judged, made
from watch_world import ADDRESS, CONFIGS, PLACE, PLAIN, Ran, World, answering, world_of

from ctwatch.cli import cli, main
from ctwatch.config import parse
from ctwatch.demo import confirmation_link
from ctwatch.detections import catalogue
from ctwatch.permissions import Condition, Grant, allow
from ctwatch.policy import (
    COMMANDS,
    MANAGED_LIMIT,
    SCP_LIMIT,
    Subject,
    documents,
    merged,
    policy,
    protection,
    size,
    subject,
)
from ctwatch.resources.base import TAG
from ctwatch.sandbox.server import Sandbox
from ctwatch.techniques import DECOY, TECHNIQUES, Decoy, Probe

EVERYTHING: dict[str, Any] = {
    "route": "direct",
    "regions": ["eu-west-1"],
    "bucket": {"name": "s3-all-{account}", "lifecycle": {"expire_days": 400}},
    "trail": {
        "name": "trail-all",
        "insights": ["api-call-rate"],
        "kms": "create",
        "cloudwatch_logs": True,
        "delivery_notifications": True,
    },
    "topic": {"name": "topic-all", "emails": [ADDRESS], "sms": ["+821012345678"], "kms": "create"},
    "function": {"name": "function-all"},
    "channels": [
        {"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"},
        {"type": "discord", "name": "second", "url": "ssm:/hooks/second"},
    ],
    "rules": [
        {"name": f"all-{one}", "detection": one}
        for one in ("trail-tampering", "root-login", "log-object-deletion")
    ],
    "tags": {"team": "security"},
}
LATER = {**PLAIN, "regions": "all"}
BIGGEST = {
    **EVERYTHING,
    "regions": ["us-east-1", "us-west-2", "eu-central-1", "ca-central-1"],
    "rules": [{"name": f"all-{one}", "detection": one} for one in catalogue()],
}
SIZED = {**CONFIGS, "everything": EVERYTHING, "biggest": BIGGEST, "all regions": LATER}
ACE = "arn:aws:iam::123456789012:role/ace"


def actions(documents: Sequence[dict[str, Any]]) -> set[str]:
    found: set[str] = set()
    for one in (one for document in documents for one in document["Statement"]):
        found |= {one["Action"]} if isinstance(one["Action"], str) else {*one["Action"]}
    return found


# A command for each action, which has to say that it lacks it.
LESS = {
    "s3:GetBucketPolicy": "up",
    "events:ListTargetsByRule": "plan",
    "lambda:ListTags": "status",
    "sqs:ReceiveMessage": "simulate stop-logging --timeout 5",
    "kms:ListResourceTags": "status",
    "events:DeleteRule": "down --yes --wait 20",
}


FIRST_WORDS = (
    *("plan", "up", "status", "simulate stop-logging", "alerts", "down --yes"),
    "confirm https://sns/?TopicArn=arn:aws:sns:af-south-1:123456789012:none&Token=0",
)
"""Each command once, for a region that is not enabled, of which AWS is asked then."""


class Story:
    """One watch under its policies: what each command was allowed, and what it used."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.allowed: dict[str, set[str]] = {one: set() for one in COMMANDS}
        self.used: dict[str, set[str]] = {one: set() for one in COMMANDS}
        self.ran: list[tuple[str, Ran]] = []
        self.less: dict[str, Ran] = {}

    def run(self, *arguments: str) -> None:
        judge = Judge([*arguments, "--config", str(self.world.config)], refusing=True)
        with judged(judge):
            ran = self.world.run(*arguments)
        assert judge.outside == [], ran.text
        self.ran.append((judge.command, ran))
        self.allowed[judge.command] |= actions(judge.policies.documents)
        self.used[judge.command] |= judge.used

    def live(self) -> None:
        url = self.world.sandbox.env()["DISCORD_WEBHOOK_URL"]
        self.world.client("ssm").put_parameter(Name="/hooks/second", Value=url, Type="SecureString")
        self.up({**EVERYTHING, "route": "fanout"}, clicks=False)
        hand = Hand(self.world)
        hand.take_the_alias()
        assert self.world.sandbox.idle()
        mails = [one for one in self.world.sandbox.inbox.mails if "/confirm?" in one.text]
        self.run("confirm", confirmation_link(mails[-1]))
        hand.break_everything()
        self.up(EVERYTHING)
        hand.take_the_alias()
        self.run("plan")
        self.run("status")
        self.world.sandbox.deliver_logs()
        self.run("status", "--logs")
        # What Athena needs is made when it is first asked, and goes with the rest.
        asked = self.world.run("history", "--from", "athena", "--since", "2h")
        assert "Made for it" in asked.err, asked.text
        self.run("simulate", "all", "--timeout", "60")
        self.run("simulate", "stop-logging", "--on", "canary")
        self.run("simulate", "trail-tampering", "delete-trail", "--on", "trail", "--yes")
        hand.silence()
        self.run("simulate", "stop-logging", "--timeout", "1")
        hand.silence(ended=True)
        self.run("alerts")
        for line in FIRST_WORDS:
            self.run_without("", *line.split(), "--region", "af-south-1")
        self.lack("up", "plan", "status", "simulate")
        self.up(LATER)
        kept = hand.leave_more_behind()
        self.lack("down")
        locked = {"Key": "log", "VersionId": kept, "Code": "AccessDenied"}
        s3 = self.world.open().aws.s3
        with answering(s3, "s3.DeleteObjects", lambda answer: answer.update(Errors=[locked])):
            self.run_without("", "down", "--yes", "--delete-logs", "--wait", "1")
        self.run("down", "--yes", "--delete-logs", "--wait", "1")

    def lack(self, *commands: str) -> None:
        for action, line in LESS.items():
            if line.split()[0] in commands:
                self.less[action] = self.run_without(action, *line.split())

    def run_without(self, action: str, *arguments: str) -> Ran:
        """Run a command whose policy lacks one action."""
        judge = Judge([*arguments, "--config", str(self.world.config)], action, refusing=True)
        with judged(judge):
            ran = self.world.run(*arguments)
        self.used[judge.command] |= judge.used
        return ran

    def up(self, config: dict[str, Any], *, clicks: bool = True) -> None:
        self.world.config.write_text(yaml.safe_dump(config), encoding="utf-8")
        self.run("up")
        if clicks:
            self.world.click()


class Hand:
    """Breaks each part of `EVERYTHING` by hand, in all ways that `up` has a call for."""

    def __init__(self, world: World) -> None:
        self.client = world.client
        self.watch = world.open().watch

    def break_everything(self) -> None:
        self.bucket()
        self.trail()
        self.rule()
        self.topic()
        self.roles()
        self.function()
        self.keys()
        self.queue()

    def bucket(self) -> None:
        s3, name = self.client("s3"), self.watch.bucket.name
        s3.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Suspended"})
        rules = [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
        s3.delete_public_access_block(Bucket=name)
        s3.delete_bucket_ownership_controls(Bucket=name)
        s3.put_bucket_tagging(
            Bucket=name, Tagging={"TagSet": [{"Key": TAG, "Value": self.watch.name}]}
        )

    def trail(self) -> None:
        cloudtrail, name = self.client("cloudtrail"), self.watch.trail.name
        cloudtrail.stop_logging(Name=name)
        cloudtrail.update_trail(Name=name, EnableLogFileValidation=False)
        selector = {"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}
        cloudtrail.put_event_selectors(TrailName=name, EventSelectors=[selector])

    def rule(self) -> None:
        [rule, *_] = self.watch.rules
        target = {"Id": "theirs", "Arn": self.watch.receipts.arn}
        self.client("events").put_targets(Rule=rule.name, Targets=[target])

    def topic(self) -> None:
        sns, arn = self.client("sns"), self.watch.topic.arn
        sns.set_topic_attributes(TopicArn=arn, AttributeName="KmsMasterKeyId", AttributeValue="")
        listed = sns.list_subscriptions_by_topic(TopicArn=arn)["Subscriptions"]
        [one] = [x["SubscriptionArn"] for x in listed if x["Protocol"] == "sqs"]
        sns.set_subscription_attributes(
            SubscriptionArn=one, AttributeName="RawMessageDelivery", AttributeValue="true"
        )

    def roles(self) -> None:
        iam, name = self.client("iam"), self.watch.name + "-notifier"
        deny = {"Effect": "Deny", "Action": "*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
        made = iam.create_policy(PolicyName="theirs", PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_role_policy(RoleName=name, PolicyArn=made)
        iam.put_role_permissions_boundary(RoleName=name, PermissionsBoundary=made)
        iam.put_role_policy(RoleName=name, PolicyName="theirs", PolicyDocument=document)
        trust = json.dumps(self.watch.function.role.trust).replace("lambda", "config")
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)

    def function(self) -> None:
        functions, name = self.client("lambda"), self.watch.function.name
        functions.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
        functions.update_function_configuration(FunctionName=name, Timeout=3)
        functions.add_permission(
            FunctionName=name,
            StatementId="theirs",
            Action="lambda:InvokeFunction",
            Principal="config.amazonaws.com",
        )
        other = self.watch.function._zip[:-2] + b"\1\0x"  # the same with a comment of one letter
        functions.update_function_code(FunctionName=name, ZipFile=other)
        [secret, *_] = self.watch.function.secrets
        self.client("ssm").delete_parameter(Name=secret.name)
        self.client("ssm").put_parameter(
            Name=secret.name,
            Value="theirs",
            Type="String",
            Tags=[{"Key": TAG, "Value": self.watch.name}],
        )

    def keys(self) -> None:
        kms = self.client("kms")
        first, second = (one.found(OwnHand(self.client)) for one in self.watch.keys)
        policy = self.watch.keys[1].policy
        policy["Statement"] = policy["Statement"][:1]
        kms.put_key_policy(KeyId=second, PolicyName="default", Policy=json.dumps(policy))
        kms.disable_key_rotation(KeyId=second)
        theirs = kms.create_key()["KeyMetadata"]["KeyId"]
        kms.update_alias(AliasName=self.watch.keys[1].alias, TargetKeyId=theirs)
        kms.schedule_key_deletion(KeyId=first, PendingWindowInDays=30)

    def take_the_alias(self) -> None:
        """Without it, a key is searched for."""
        self.client("kms").delete_alias(AliasName=self.watch.keys[0].alias)

    def silence(self, *, ended: bool = False) -> None:
        events, rule = self.client("events"), self.watch.rules[0].name
        (events.enable_rule if ended else events.disable_rule)(Name=rule)

    def leave_more_behind(self) -> str:
        """A deletion that is not ours, too; returns the version of a log file."""
        key = self.watch.keys[0].found(OwnHand(self.client))
        self.client("kms").schedule_key_deletion(KeyId=key, PendingWindowInDays=30)
        which = {"Bucket": self.watch.bucket.name, "Key": "log"}
        self.client("s3").create_multipart_upload(**which)
        self.client("iam").attach_role_policy(
            RoleName=f"{self.watch.name}-notifier",
            PolicyArn=f"arn:aws:iam::{PLACE.account}:policy/theirs",
        )
        return str(self.client("s3").put_object(**which, Body=b"log")["VersionId"])

    def queue(self) -> None:
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName=self.watch.receipts.name)["QueueUrl"]
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"DelaySeconds": "900"})
        dead = sqs.get_queue_url(QueueName=self.watch.dead_letter.name)["QueueUrl"]
        sqs.send_message(QueueUrl=dead, MessageBody="an alert")


class OwnHand:
    """What a key is found by, past what is judged."""

    def __init__(self, client: Any) -> None:
        self.kms = client("kms")

    def together(self, *calls: Callable[[], Any]) -> list[Any]:
        """One after the other, as who looks here is in no hurry."""
        return [call() for call in calls]


@pytest.fixture(scope="module")
def story(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Story]:
    with world_of(running, tmp_path_factory.mktemp("policy")) as world:
        world.use(EVERYTHING)
        story = Story(world)
        story.live()
        yield story


@pytest.mark.exhaustive
def test_under_its_policy_alone_each_command_does_its_work(story: Story) -> None:
    done = [f"{command} {ran.code}" for command, ran in story.ran]
    looked = ["plan 0", "status 3", "status 0"]  # its key has lost the alias; its logs are valid
    begun = ["up 0", "confirm 0", "up 0", *looked]
    struck = ["simulate 0", "simulate 0", "simulate 0", "simulate 3"]  # the last one unheard
    # One alert lies in the dead-letter queue.
    assert done == [*begun, *struck, "alerts 3", "up 0", "down 0"], story.ran
    assert not [ran for _, ran in story.ran if "credentials may not" in ran.text]


@pytest.mark.exhaustive
@pytest.mark.parametrize("command", COMMANDS)
def test_every_action_is_used(command: str, story: Story) -> None:
    used = story.used[command]
    unused = [one for one in story.allowed[command] if not any(fnmatchcase(x, one) for x in used)]
    assert unused == [], unused


@pytest.mark.exhaustive
@pytest.mark.parametrize("action", LESS)
def test_a_command_that_lacks_one_action_says_so(action: str, story: Story) -> None:
    ran = story.less[action]
    assert ran.code in {1, 3}, ran.text
    assert f"not authorized to perform: {action}" in ran.text


# What no drill needs, as an action that no decoy's ARN confines would be a right to real harm.
UNCONFINED = {
    "authorize-security-group-ingress": "ec2:AuthorizeSecurityGroupIngress",
    "delete-delivery-channel": "config:DeleteDeliveryChannel",
    "set-subscription-attributes": "sns:SetSubscriptionAttributes",
}
PROBES = [one for one in TECHNIQUES.values() if isinstance(one, Probe)]


@pytest.mark.parametrize("probe", PROBES, ids=lambda one: one.name)
def test_a_probe_may_strike_decoys_and_nothing_else(probe: Probe) -> None:
    decoy = Decoy(f"{DECOY}0123456789ab", PLACE)
    asks = all_asked(made(probe.service, probe.operation, probe.asked(decoy), PLACE.region))
    granted = documents(merged(probe.needs(PLACE)), "Allow", MANAGED_LIMIT)
    if probe.name in UNCONFINED:
        assert granted == [{"Version": "2012-10-17", "Statement": []}]
        assert [one.action for one in asks] == [UNCONFINED[probe.name]]
        return
    assert actions(granted) == {one.action for one in asks}
    for one in asks:
        assert allowed(granted, one.action, one.arn, {})
        assert not allowed(granted, one.action, one.arn.replace(DECOY, "ours-"), {})


def about(config: dict[str, Any], **more: Any) -> Subject:
    return subject(parse(config), PLACE, **more)


@pytest.mark.parametrize("name", SIZED)
def test_no_document_is_larger_than_aws_takes(name: str) -> None:
    watch = about(SIZED[name], data=True)
    for command in (None, *COMMANDS):
        assert all(0 < size(one) <= MANAGED_LIMIT for one in policy(command, watch))
    assert all(0 < size(one) <= SCP_LIMIT for one in protection(watch, [ACE]))


@pytest.mark.parametrize("command", COMMANDS)
def test_the_watch_that_most_have_needs_one_document_for_a_command(command: str) -> None:
    assert len(policy(command, about(PLAIN))) == 1


def test_what_is_too_large_is_split_and_nothing_is_lost() -> None:
    arns = tuple(f"arn:aws:sqs:ap-northeast-2:123456789012:queue-{n:03}" for n in range(300))
    found = documents([allow("sqs", "DeleteQueue", *arns), allow("sns", "Publish")], "Allow", 6_144)
    statements = [one for document in found for one in document["Statement"]]
    assert len(found) > 1
    assert [arn for one in statements[:-1] for arn in one["Resource"]] == list(arns)
    assert statements[-1] == {"Effect": "Allow", "Action": "sns:Publish", "Resource": "*"}


def test_what_another_grant_covers_is_left_out() -> None:
    tagged = Condition("StringEquals", "aws:ResourceTag/t", "v")
    found = merged(
        [
            allow("sqs", "A B", "arn:1"),
            allow("sqs", "A", "arn:*"),
            allow("sqs", "A", "arn:2").only_if(tagged),
            allow("sqs", "B", "arn:2").only_if(tagged),
        ]
    )
    assert set(found) == {
        Grant(("sqs:A",), ("arn:*",)),
        Grant(("sqs:B",), ("arn:1",)),
        Grant(("sqs:B",), ("arn:2",), tagged),
    }


TABLE = (Path(__file__).parent / "service_authorization.txt").read_text("utf-8")
LINES = [line for line in TABLE.splitlines() if not line.startswith("#")]


def listed(kind: str) -> set[str]:
    """What AWS lists, of the actions that take ARNs or of those that take none."""
    rows = [line.split(": ") for line in LINES if f" {kind}: " in line]
    return {f"{head.split()[0]}:{name}" for head, names in rows for name in names.split()}


@pytest.mark.parametrize("name", SIZED)
def test_an_action_exists_and_is_on_arns_exactly_where_it_takes_any(name: str) -> None:
    watch = about(SIZED[name], data=True)
    for document in (*policy(None, watch), *protection(watch, [ACE])):
        for one in document["Statement"]:
            known = listed("on none" if one["Resource"] == "*" else "on ARNs")
            for action in actions([document | {"Statement": [one]}]):
                assert [each for each in known if fnmatchcase(each, action)], action


def test_a_role_is_passed_to_its_service_alone() -> None:
    documents = policy("up", about(EVERYTHING))
    for name, service in (
        ("notifier", "lambda"),
        ("forwarder", "events"),
        ("trail-logs", "cloudtrail"),
    ):
        role = PLACE.role_arn(f"ctwatch-{name}")
        for to in ("lambda", "events", "cloudtrail", "ec2"):
            context = {"iam:PassedToService": f"{to}.amazonaws.com"}
            assert allowed(documents, "iam:PassRole", role, context) is (to == service)


def test_only_the_option_brings_the_right_to_delete_logs() -> None:
    log, mine = "arn:aws:s3:::s3-all-123456789012/AWSLogs/x", "s3:DeleteObjectVersion"
    for command in COMMANDS:
        assert not allowed(policy(command, about(EVERYTHING)), mine, log, {})
    assert allowed(policy("down", about(EVERYTHING, data=True)), mine, log, {})


# The service control policy

HARM = [
    ("cloudtrail:StopLogging", "cloudtrail:ap-northeast-2:123456789012:trail/trail-all"),
    ("cloudtrail:DeleteTrail", "cloudtrail:ap-northeast-2:123456789012:trail/trail-all"),
    ("events:DisableRule", "events:ap-northeast-2:123456789012:rule/all-trail-tampering"),
    ("events:RemoveTargets", "events:us-east-1:123456789012:rule/all-root-login"),
    ("iam:AttachRolePolicy", "iam::123456789012:role/ctwatch-notifier"),
    ("lambda:PutFunctionConcurrency", "lambda:ap-northeast-2:123456789012:function:function-all"),
    (
        "logs:DeleteLogGroup",
        "logs:ap-northeast-2:123456789012:log-group:/aws/lambda/function-all:*",
    ),
    ("s3:DeleteObjectVersion", "s3:::s3-all-123456789012/AWSLogs/x"),
    ("s3:PutBucketPolicy", "s3:::s3-all-123456789012"),
    ("sns:SetTopicAttributes", "sns:ap-northeast-2:123456789012:topic-all"),
    ("sqs:PurgeQueue", "sqs:ap-northeast-2:123456789012:ctwatch-dead-letter"),
    ("ssm:PutParameter", "ssm:ap-northeast-2:123456789012:parameter/ctwatch/discord"),
    ("kms:UpdateAlias", "kms:ap-northeast-2:123456789012:alias/ctwatch-trail"),
]


def may(action: str, arn: str, who: str, **tags: str) -> bool:
    """Whether somebody who may do everything may, under the policy, do this."""
    everything = {"Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
    context = {"aws:PrincipalArn": who, **tags}
    scp = protection(about(EVERYTHING), [ACE, "arn:aws:iam::*:role/other/ace-*"])
    return allowed([*scp, everything], action, f"arn:aws:{arn}", context)


@pytest.mark.parametrize(("action", "arn"), HARM)
def test_nobody_but_those_excepted_may_harm_the_watch(action: str, arn: str) -> None:
    assert not may(action, arn, "arn:aws:iam::123456789012:role/admin")
    assert not may(action, arn, "arn:aws:iam::123456789012:root")
    assert may(action, arn, ACE)
    assert may(action, arn, "arn:aws:iam::123456789012:role/other/ace-1")
    theirs = arn.replace("all", "theirs").replace("ctwatch", "theirs")
    assert may(action, theirs, "arn:aws:iam::123456789012:role/admin")


def test_a_key_is_protected_by_its_tag_and_nobody_s_key_otherwise() -> None:
    key, admin = "kms:ap-northeast-2:123456789012:key/1", "arn:aws:iam::123456789012:role/admin"
    ours = {f"aws:ResourceTag/{TAG}": "ctwatch"}
    for action in ("kms:ScheduleKeyDeletion", "kms:DisableKey", "kms:PutKeyPolicy"):
        assert not may(action, key, admin, **ours)
        assert may(action, key, admin)
    assert may("kms:CreateAlias", key, admin)


def test_looking_is_denied_to_nobody() -> None:
    documents = protection(about(EVERYTHING), [ACE])
    looks = ("Get", "List", "Describe", "Receive", "Pass")
    assert not [one for one in actions(documents) if one.partition(":")[2].startswith(looks)]


# The command


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(EVERYTHING), encoding="utf-8")
    return path


def told(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str, str]:
    code = main(["policy", *arguments])
    printed = capsys.readouterr()
    return code, printed.out, " ".join(printed.err.split())


def test_with_the_account_named_aws_is_not_asked(file, capsys, monkeypatch) -> None:
    monkeypatch.setattr("ctwatch.aws.Session", None)
    code, out, err = told(capsys, "status", "--account", PLACE.account, "-c", str(file))
    assert (code, err) == (0, "")
    assert [json.loads(out)] == policy("status", about(EVERYTHING))


def test_else_aws_is_asked_for_the_account_alone(file, capsys, sandbox: Sandbox) -> None:
    code, out, _ = told(capsys, "down", "-c", str(file))
    assert [one.operation for one in sandbox.calls] == ["GetCallerIdentity"]
    assert (code, [json.loads(out)]) == (0, policy("down", about(EVERYTHING)))


def test_several_policies_are_a_list_and_said_to_be_several(file, capsys) -> None:
    code, out, err = told(capsys, "--account", PLACE.account, "-c", str(file))
    assert (code, json.loads(out)) == (0, policy(None, about(EVERYTHING)))
    assert f"These are {len(json.loads(out))} policies" in err


def test_the_partition_is_that_of_the_region(file, capsys) -> None:
    home = ("--account", PLACE.account, "--region", "us-gov-west-1")
    file.write_text(yaml.safe_dump(PLAIN), encoding="utf-8")
    _, out, _ = told(capsys, "status", *home, "-c", str(file))
    assert "arn:aws-us-gov:sns:us-gov-west-1:" in out
    assert "arn:aws:" not in out


def test_all_regions_are_a_star(file, capsys) -> None:
    rules = [{"name": "door", "detection": "security-group-ingress"}]
    file.write_text(yaml.safe_dump({**LATER, "rules": rules}), encoding="utf-8")
    _, out, _ = told(capsys, "status", "--account", PLACE.account, "-c", str(file))
    assert f"arn:aws:events:*:{PLACE.account}:rule/door" in out
    assert "account:ListRegions" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("status --account 12", "'12' is not an AWS account id"),
        (
            "stauts",
            "'stauts' is not one of 'plan', 'up', 'confirm', 'status', 'simulate', 'alerts'",
        ),
        ("--scp", "--scp and --except go together"),
        (f"status --except {ACE}", "--scp and --except go together"),
        (f"status --scp --except {ACE}", "--scp goes with no COMMAND"),
        ("--scp --except ace", "'ace' is not the ARN of a role or a user"),
        ("--scp --except *", "'*' is not the ARN of a role or a user"),
        (
            "--scp --except arn:aws:sts::123456789012:assumed-role/ace/me",
            "is a session, which is known by its role here",
        ),
    ],
)
def test_what_makes_no_sense_is_told(arguments, said, file, capsys, sandbox) -> None:
    code, out, err = told(capsys, *arguments.split(), "-c", str(file))
    assert (code, out) == (2, "")
    assert said in err


def test_a_trail_that_was_there_already_is_only_looked_at(file, capsys) -> None:
    theirs = {**PLAIN, "trail": {"existing": "arn:aws:cloudtrail:eu-west-1:210987654321:trail/org"}}
    file.write_text(yaml.safe_dump(theirs), encoding="utf-8")
    _, out, _ = told(capsys, "up", "--account", PLACE.account, "-c", str(file))
    org = theirs["trail"]["existing"]
    for action in ("cloudtrail:GetTrailStatus", "cloudtrail:GetEventSelectors"):
        assert allowed([json.loads(out)], action, org, {})
    assert not allowed([json.loads(out)], "cloudtrail:DeleteTrail", org, {})
    assert {one for one in actions([json.loads(out)]) if "Trail" in one} == {
        *("cloudtrail:DescribeTrails", "cloudtrail:GetTrailStatus"),
        "cloudtrail:DeleteTrail",  # of one that the same watch made before, by its tag
    }
    assert not [one for one in actions([json.loads(out)]) if one.startswith(("s3:Put", "s3:Cr"))]


def test_every_command_that_looks_at_a_watch_has_a_policy() -> None:
    looking = {
        name
        for name, command in cli.commands.items()
        if {"profile", "config"} <= {one.name for one in command.params}
    }
    assert looking - {"policy"} == {*COMMANDS}
