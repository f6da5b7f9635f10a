"""Several channels in one watch: all are told, each by itself, each of what it is to be told."""

import json

import pytest
import yaml
from shared_clients import hand

KINDS = ["discord", "slack", "teams", "webhook"]
VARIABLES = ["DISCORD_WEBHOOK_URL", "SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "WEBHOOK_URL"]
URLS = {kind: f"env:{name}" for kind, name in zip(KINDS, VARIABLES, strict=True)}
FUNCTION = "lambda-ct-detect-alarm"
BRIEF = ("--timeout", "20")


def channels(**more):
    """One of each type; `more` says what else stands in an entry."""
    return [{"type": kind, "url": URLS[kind], **more.get(kind, {})} for kind in KINDS]


@pytest.fixture
def use(config_file):
    """Writes another config."""

    def write(listed=None, **more):
        document = {"channels": listed or channels(), "alerts": {"language": "en"}, **more}
        config_file.write_text(yaml.safe_dump(document), encoding="utf-8")

    write()
    return write


def own_client(service):
    return hand().client(service)


def taken(sandbox):
    """How many messages each stand-in took."""
    assert sandbox.idle()
    posts = [post.service for post in sandbox.inbox.posts if post.taken]
    return {kind: posts.count(kind) for kind in KINDS}


def hops(ran):
    return {hop["hop"]: hop for hop in json.loads(ran.out)["hops"]}


def proofs(ran):
    [one] = json.loads(ran.out)
    return {hop["hop"]: hop["proof"] for hop in one["hops"]}


def entries(lambda_client):
    live = lambda_client.get_function_configuration(FunctionName=FUNCTION)["Environment"]
    return live["Variables"], json.loads(live["Variables"]["CTWATCH_CHANNELS"])


# ---------------------------------------------------------------- the whole circle


def test_a_watch_with_every_type_of_channel_goes_up_is_proven_and_comes_down(run, sandbox, use):
    use()
    up = run("up")
    assert (up.code, "Warning" in up.err) == (0, False)
    assert sandbox.inbox.posts == ()
    status = run("status")
    assert status.out.startswith("ARMED")
    assert sandbox.inbox.posts == ()

    drills = run("simulate", "all", *BRIEF)
    assert drills.code == 0, drills
    assert drills.out.count("  proven") == 9
    for answer in ("discord 200", "slack 200", "teams 202", "webhook 200"):
        assert drills.out.count(f"─ {answer} +") == 9
    assert taken(sandbox) == dict.fromkeys(KINDS, 9)
    assert run("status").out.startswith("ARMED")

    assert run("down", "--yes").code == 0
    assert taken(sandbox) == dict.fromkeys(KINDS, 10)
    assert [line.split()[:2] for line in sandbox.listing()] == [["s3", "bucket"]]


def test_status_says_which_channels_it_cannot_ask_and_that_makes_nothing_worse(run, use):
    use()
    run("up")
    status = run("status", "--json")
    assert status.code == 0
    for kind in KINDS:
        hop = hops(status)[kind]
        assert hop["flow"] == "ok"
        assert ("cannot be checked from here" in hop["sentence"]) is (kind != "discord")


@pytest.mark.parametrize("kind", KINDS)
def test_one_channel_of_any_type_may_stand_in_the_function_s_environment(run, sandbox, use, kind):
    use([{"type": kind, "url": URLS[kind], "name": "only-one"}], function={"secret": "env"})
    assert run("up").code == 0
    variables, [entry] = entries(own_client("lambda"))
    name = URLS[kind].removeprefix("env:")
    assert entry == {"name": "only-one", "type": kind, "secret": URLS[kind]}
    assert variables[name] == sandbox.inbox.webhook_urls[kind]
    assert sandbox.inbox.webhook_urls[kind] not in run("plan", "-v").out
    assert run("simulate", "delete-trail", *BRIEF).code == 0
    assert taken(sandbox)[kind] == 1


# ---------------------------------------------------------------- one that fails


def hasten(sandbox):
    """Let what is due in a minute, such as a retry, be due now."""
    work = sandbox._delivery._work
    with work._changed:
        work._due = [(0.0, number, task) for _, number, task in work._due]
        work._changed.notify_all()


@pytest.mark.parametrize("failing", KINDS)
def test_a_channel_that_fails_keeps_back_no_other_and_the_retry_tells_it_alone(
    run, sandbox, use, failing
):
    use()
    run("up")
    sandbox.inbox.answer_with(500, "no", service=failing)
    own_client("cloudtrail").stop_logging(Name="ct-trail-monitor")
    assert sandbox.inbox.wait_for(lambda box: len(box.posts) == 4, 10)
    assert not sandbox.idle(0.5)  # the retry waits
    others = {kind: int(kind != failing) for kind in KINDS}
    posts = [post.service for post in sandbox.inbox.posts if post.taken]
    assert {kind: posts.count(kind) for kind in KINDS} == others

    hasten(sandbox)
    assert taken(sandbox) == dict.fromkeys(KINDS, 1)
    assert len(sandbox.inbox.posts) == 5


def test_a_drill_proves_the_others_and_names_the_one_that_fails(run, sandbox, use):
    use()
    run("up")
    sandbox.inbox.answer_with(500, "no", times=9, service="teams")
    drill = run("simulate", "stop-logging", "--timeout", "6", "--json")
    sandbox._delivery._work.drop(lambda: None)
    assert drill.code == 3
    assert proofs(drill) == {
        **dict.fromkeys(["recorded", "matched", "topic", "function", *KINDS], "proven"),
        "teams": "not proven",
    }


# ---------------------------------------------------------------- what a channel is not told

PICKY = {
    "slack": {"min_severity": "critical"},
    "teams": {"only": ["trail-tampering"]},
    "webhook": {"only": ["root-login", "assume-role"], "min_severity": "low"},
}


def test_what_a_channel_is_not_to_be_told_is_skipped_and_fails_no_drill(run, sandbox, use):
    use(channels(**PICKY))
    run("up")
    _, listed = entries(own_client("lambda"))
    assert [
        {key: one[key] for key in one if key in ("min_severity", "only")} for one in listed
    ] == [
        {},
        {"min_severity": "critical"},
        {"only": ["trail-tampering"]},
        {"only": ["root-login", "assume-role"]},
    ]
    drill = run("simulate", "stop-logging", *BRIEF)
    assert drill.code == 0
    assert drill.out.startswith("stop-logging  proven\n")
    for kind in ("slack", "webhook"):
        assert f"{kind}: skipped, its min_severity or only leaves this out" in drill.out
    assert taken(sandbox) == {"discord": 1, "slack": 0, "teams": 1, "webhook": 0}
    assert run("status").out.startswith("ARMED")


def test_a_skipped_channel_is_final_and_not_waited_for(run, sandbox, use):
    use(channels(**PICKY))
    run("up")
    drill = run("simulate", "delete-trail", "--timeout", "600", "--json")
    assert proofs(drill)["slack"] == proofs(drill)["webhook"] == "skipped"
    assert drill.code == 0


def test_the_real_thing_is_bad_enough_for_the_channel_that_the_drill_was_not_for(run, sandbox, use):
    use(channels(**PICKY))
    run("up")
    own_client("cloudtrail").delete_trail(Name="ct-trail-monitor")
    assert taken(sandbox) == {"discord": 1, "slack": 1, "teams": 1, "webhook": 0}


def test_a_drill_that_no_channel_is_to_be_told_of_says_so(run, sandbox, use):
    use([{"type": "slack", "url": URLS["slack"], "min_severity": "critical"}])
    run("up")
    drill = run("simulate", "stop-logging", *BRIEF)
    assert drill.code == 0
    assert "proven up to the channels, and none of them is told of this" in drill.out
    use(
        [{"type": "slack", "url": URLS["slack"], "min_severity": "critical"}],
        topic={"emails": ["security@example.com"]},
    )
    run("up")
    assert run("simulate", "stop-logging", *BRIEF).out.startswith("stop-logging  proven\n")


@pytest.mark.parametrize(
    ("technique", "severity"), [("stop-logging", "medium"), ("delete-trail", "high")]
)
def test_a_drill_is_a_step_less_bad_than_what_it_plays(run, sandbox, use, technique, severity):
    use([{"type": "webhook", "url": URLS["webhook"]}])
    run("up")
    run("simulate", technique, *BRIEF)
    [post] = sandbox.inbox.posts
    assert (post.payload["severity"], post.payload["drill"]) == (severity, True)


# ---------------------------------------------------------------- seen and repaired


@pytest.mark.parametrize("change", [{"min_severity": "critical"}, {"only": ["root-login"]}])
def test_a_channel_that_was_made_deaf_by_hand_is_seen_and_repaired(run, use, change):
    use()
    run("up")
    client = own_client("lambda")
    variables, listed = entries(client)
    changed = {**variables, "CTWATCH_CHANNELS": json.dumps([{**one, **change} for one in listed])}
    client.update_function_configuration(FunctionName=FUNCTION, Environment={"Variables": changed})
    status = run("status")
    assert (status.code, status.out.split()[0]) == (3, "MUTE")
    assert status.out.count("• function lambda-ct-detect-alarm: environment.CTWATCH_CHANNELS") == 1
    assert "environment.CTWATCH_CHANNELS" in run("up").err
    assert entries(client) == (variables, listed)
    assert run("status").out.startswith("ARMED")


def test_a_config_that_changes_a_channel_changes_the_function(run, use):
    use()
    run("up")
    use(channels(teams={"min_severity": "high"}))
    plan = run("plan")
    assert "environment.CTWATCH_CHANNELS" in plan.out
    assert run("up").code == 0
    assert entries(own_client("lambda"))[1][2]["min_severity"] == "high"


def test_one_secret_that_was_replaced_cuts_off_its_own_channel_only(run, sandbox, use):
    use()
    run("up")
    parameter = {"Name": "/ctwatch/slack", "Value": "https://example.com/theirs"}
    own_client("ssm").put_parameter(**parameter, Type="SecureString", Overwrite=True)
    status = run("status", "--json")
    assert json.loads(status.out)["verdict"] == "DEGRADED"
    assert {kind: hops(status)[kind]["flow"] for kind in KINDS} == {
        **dict.fromkeys(KINDS, "ok"),
        "slack": "cut",
    }
    assert "secret /ctwatch/slack: value" in run("up").err
    assert run("status").out.startswith("ARMED")


def test_a_secret_that_the_function_may_no_longer_read_cuts_off_its_own_channel_only(run, use):
    use()
    run("up")
    iam, role = own_client("iam"), "ctwatch-notifier"
    [name] = iam.list_role_policies(RoleName=role)["PolicyNames"]
    policy = iam.get_role_policy(RoleName=role, PolicyName=name)["PolicyDocument"]
    left = [one for one in policy["Statement"] if "parameter/ctwatch/teams" not in str(one)]
    assert len(left) == len(policy["Statement"]) - 1
    document = json.dumps({**policy, "Statement": left})
    iam.put_role_policy(RoleName=role, PolicyName=name, PolicyDocument=document)
    status = run("status", "--json")
    assert json.loads(status.out)["verdict"] == "DEGRADED"
    flows = {kind: hops(status)[kind]["flow"] for kind in KINDS}
    assert flows.pop("teams") == "cut"
    assert set(flows.values()) == {"not as promised"}


def test_the_notifier_knows_the_watch_s_own_bucket(run, sandbox, use):
    use([{"type": "webhook", "url": URLS["webhook"]}])
    run("up")
    cloudtrail = own_client("cloudtrail")
    [trail] = cloudtrail.describe_trails()["trailList"]
    cloudtrail.update_trail(Name=trail["Name"], S3BucketName=trail["S3BucketName"])
    own_client("s3").create_bucket(
        Bucket="theirs", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-2"}
    )
    policy = own_client("s3").get_bucket_policy(Bucket=trail["S3BucketName"])["Policy"]
    theirs = policy.replace(trail["S3BucketName"], "theirs")
    own_client("s3").put_bucket_policy(Bucket="theirs", Policy=theirs)
    cloudtrail.update_trail(Name=trail["Name"], S3BucketName="theirs")
    assert taken(sandbox)["webhook"] == 2
    moved = {
        post.payload["event"]["id"]: "moves_bucket" in post.payload["consequences"]
        for post in sandbox.inbox.posts
    }
    assert sorted(moved.values()) == [False, True]


# ---------------------------------------------------------------- where an alert may go


@pytest.mark.parametrize("kind", ["slack", "teams", "webhook"])
def test_a_real_channel_is_refused_while_aws_is_the_sandbox(run, use, monkeypatch, kind):
    real = {
        "slack": "https://hooks.slack.com/services/T0AAAAAAA/B0AAAAAAA/tokentoken",
        "teams": "https://p-1.eu.logic.azure.com:443/workflows/ab/triggers/m/paths/i?a=1&sig=token",
        "webhook": "https://alerts.example.com/token",
    }[kind]
    use()
    monkeypatch.setenv(URLS[kind].removeprefix("env:"), real)
    up = run("up")
    assert up.code == 2
    assert f"channels[{KINDS.index(kind)}].url: the webhook is a real" in up.err
    assert "token" not in up.err
