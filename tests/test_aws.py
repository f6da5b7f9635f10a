import json
import os
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import boto3
import pytest
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    PartialCredentialsError,
    ReadTimeoutError,
    SSOTokenLoadError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError
from botocore.session import Session

from ctwatch.aws import Aws, Place, code_of, complaint, connect, is_loopback, unless
from ctwatch.clock import Clock
from ctwatch.errors import AwsError, ConfigError

REGION = "ap-northeast-2"


def refused(code, message="no", operation="StopLogging"):
    return ClientError({"Error": {"Code": code, "Message": message}}, operation)


@pytest.fixture
def aws(monkeypatch):
    """A door that leads nowhere, with a clock on which hours are milliseconds."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return connect(None, REGION, Clock(speed=10_000))


# ---------------------------------------------------------------- Place


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_arns_follow_from_partition_region_account_and_name(partition):
    place = Place(partition, "123456789012", "cn-north-1")
    assert place.arn("sns", "t") == f"arn:{partition}:sns:cn-north-1:123456789012:t"
    assert place.arn("cloudtrail", "trail/t").endswith(":123456789012:trail/t")
    assert place.bucket_arn("b") == f"arn:{partition}:s3:::b"
    assert place.role_arn("r") == f"arn:{partition}:iam::123456789012:role/r"


# ---------------------------------------------------------------- codes


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (refused("TrailNotFoundException"), "TrailNotFoundException"),
        (refused("AWS.SimpleQueueService.NonExistentQueue"), "NonExistentQueue"),
        (ClientError({}, "StopLogging"), ""),
        (NoCredentialsError(), ""),
        (ValueError("no"), ""),
    ],
)
def test_the_code_is_aws_s_own(error, code):
    assert code_of(error) == code


def raising(error):
    def call():
        raise error

    return call


def test_unless_gives_the_answer_or_none_for_the_codes_named():
    assert unless(lambda: 1, "NotFound") == 1
    assert unless(raising(refused("NotFound")), "Gone", "NotFound") is None


@pytest.mark.parametrize("error", [refused("AccessDenied"), NoCredentialsError()])
def test_unless_lets_every_other_refusal_pass(error):
    with pytest.raises(type(error)):
        unless(raising(error), "NotFound")


# ---------------------------------------------------------------- patiently


def answers(*given):
    """A call that ends in each of these in turn, and what it was asked."""
    left = list(given)

    def call():
        one = left.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    return call, left


class Exact(Clock):
    """Only sleeping lets time pass here."""

    def __init__(self):
        super().__init__()
        self.passed, self.pauses = 0.0, []

    def monotonic(self):
        return self.passed

    def sleep(self, seconds):
        self.passed += seconds
        self.pauses.append(seconds)


def test_a_refusal_that_means_not_yet_is_waited_out(aws):
    aws.clock = Exact()
    call, left = answers(refused("NotYet"), refused("NotYet"), "done")
    assert aws.patiently(call, code="NotYet") == "done"
    assert left == []


def test_the_words_decide_too(aws):
    aws.clock = Exact()
    call, _ = answers(refused("Invalid", "the role cannot be assumed"), "done")
    assert aws.patiently(call, code="Invalid", says=("grant", "role")) == "done"
    call, left = answers(refused("Invalid", "no such runtime"), "done")
    with pytest.raises(ClientError, match="no such runtime"):
        aws.patiently(call, code="Invalid", says=("grant", "role"))
    assert left == ["done"]


def test_several_codes_may_mean_not_yet(aws):
    aws.clock = Exact()
    call, left = answers(refused("NotYet"), refused("Busy"), "done")
    assert aws.patiently(call, code=("NotYet", "Busy")) == "done"
    assert left == []


@pytest.mark.parametrize("error", [refused("Other"), refused("Not"), NoCredentialsError()])
def test_any_other_failure_is_raised_at_once(aws, error):
    call, left = answers(error, "done")
    with pytest.raises(type(error)):
        aws.patiently(call, code="NotYet")
    assert left == ["done"]


def test_after_the_limit_the_refusal_is_believed(aws):
    aws.clock = clock = Exact()
    with pytest.raises(ClientError, match="NotYet"):
        aws.patiently(raising(refused("NotYet")), code="NotYet", limit=1000)
    assert 990 < clock.passed <= 1000


def test_it_asks_less_and_less_often_but_at_least_every_ten_seconds(aws):
    aws.clock = clock = Exact()
    call, _ = answers(*[refused("NotYet")] * 10, "done")
    assert aws.patiently(call, code="NotYet", limit=10_000) == "done"
    assert clock.pauses == sorted(clock.pauses)
    assert (clock.pauses[0], clock.pauses[-1], len(clock.pauses)) == (0.5, 10.0, 10)


def test_hours_of_waiting_are_moments_on_a_fast_clock(aws):
    before, started = aws.clock.monotonic(), time.monotonic()
    call, _ = answers(*[refused("NotYet")] * 20, "done")
    assert aws.patiently(call, code="NotYet", limit=3600) == "done"
    assert aws.clock.monotonic() - before > 100
    assert time.monotonic() - started < 5


# ---------------------------------------------------------------- together


def test_answers_come_in_the_order_of_the_calls(aws):
    first = threading.Event()

    def late():
        assert first.wait(10)
        return "late"

    assert aws.together(late, lambda: first.set() or "early") == ["late", "early"]
    assert aws.together() == []


def test_of_several_failures_the_first_in_order_is_raised(aws):
    calls = [lambda: 1, raising(refused("First")), raising(refused("Second"))]
    with pytest.raises(ClientError, match="First"):
        aws.together(*calls)


# ---------------------------------------------------------------- clients


class Slow:
    """A session that takes its time, and counts."""

    def __init__(self):
        self.made = []

    def create_client(self, service, region_name, config):
        time.sleep(0.01)
        self.made.append((service, region_name, config))
        return object()


def test_each_client_is_made_once_per_service_and_region_however_many_ask():
    session = Slow()
    aws = Aws(session, REGION)
    asked = [lambda: aws.sns, lambda: aws.at("us-east-1").sns, lambda: aws.sqs] * 10
    found = aws.together(*asked)
    assert sorted(made[:2] for made in session.made) == [
        ("sns", REGION), ("sns", "us-east-1"), ("sqs", REGION),
    ]  # fmt: skip
    assert len(set(map(id, found))) == 3


def test_the_clients_of_every_watch_are_made_while_the_first_call_is_on_the_wire():
    session = Slow()
    aws = Aws(session, REGION)
    aws.ahead()
    assert [made[0] for made in session.made][:1] == ["sts"]  # it can be asked at once
    until = time.monotonic() + 10
    while len(session.made) < 8 and time.monotonic() < until:
        time.sleep(0.01)
    assert {made[0] for made in session.made} == {
        "sts", "s3", "lambda", "iam", "logs", "cloudtrail", "events", "sns",
    }  # fmt: skip


def test_a_view_of_the_same_region_is_the_same_and_of_another_shares_the_clock(aws):
    assert aws.at(REGION) is aws
    there = aws.at("us-east-1")
    assert (there.region, there.clock) == ("us-east-1", aws.clock)
    assert there.sns.meta.region_name == "us-east-1"
    assert aws.sns.meta.region_name == REGION


@pytest.mark.parametrize(
    ("name", "service"),
    [
        ("s3", "s3"), ("cloudtrail", "cloudtrail"), ("sns", "sns"), ("sqs", "sqs"), ("ssm", "ssm"),
        ("iam", "iam"), ("functions", "lambda"), ("logs", "logs"), ("events", "events"),
        ("sts", "sts"),
    ],
)  # fmt: skip
def test_each_door_leads_to_its_service(aws, name, service):
    assert getattr(aws, name).meta.service_model.service_name == service


def test_clients_retry_as_the_standard_says_and_do_not_hang(aws):
    settings = aws.cloudtrail.meta.config
    assert settings.retries == {"mode": "standard", "total_max_attempts": 8}
    assert (settings.connect_timeout, settings.read_timeout) == (10, 10)
    assert settings.max_pool_connections == 256
    assert settings.user_agent_appid == "ctwatch"


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    ("key", "how"),
    [
        (
            "aws_access_key_id = AKIAONE\naws_secret_access_key = x",
            "config-file",
        ),
        (f"credential_process = {sys.executable} PROGRAM", "custom-process"),
    ],
)
def test_credentials_are_those_that_boto3_finds(key, how, monkeypatch, tmp_path):
    program, config = tmp_path / "program.py", tmp_path / "config"
    told = {"Version": 1, "AccessKeyId": "AKIATWO", "SecretAccessKey": "x", "SessionToken": "y"}
    program.write_text(f"print({json.dumps(json.dumps(told))})", encoding="utf-8")
    config.write_text(f"[profile p]\n{key.replace('PROGRAM', str(program))}\n", encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    mine = connect("p", REGION)._session
    theirs = boto3.Session(profile_name="p", region_name=REGION)
    found, known = mine.get_credentials(), theirs.get_credentials()
    assert found.method == known.method == how
    assert found.get_frozen_credentials() == known.get_frozen_credentials()
    assert mine.get_config_variable("region") == theirs.region_name


@pytest.mark.usefixtures("aws")
def test_they_are_looked_for_where_boto3_looks_and_in_that_order():
    mine, theirs = connect(None, REGION)._session, boto3.Session(region_name=REGION)._session
    ways = [
        [one.METHOD for one in session.get_component("credential_provider").providers]
        for session in (mine, theirs)
    ]
    assert ways[0] == ways[1]
    assert {"sso", "assume-role", "iam-role"} <= set(ways[0])


@pytest.mark.usefixtures("aws")
def test_an_endpoint_that_is_no_url_is_one_sentence(monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "localhost:4566")
    with pytest.raises(ConfigError, match=r"sns.*localhost:4566") as told:
        _ = connect(None, REGION).sns
    assert "AWS_ENDPOINT_URL" in told.value.hint


# ---------------------------------------------------------------- who and where


def test_sts_says_where_we_are(sandbox):
    assert connect(None, "eu-west-1").place() == Place("aws", sandbox.account, "eu-west-1")


class Sts:
    """A session whose one client answers so."""

    def __init__(self, answer):
        self.answer = answer

    def create_client(self, *_, **__):
        return self

    def get_caller_identity(self):
        return self.answer()


def test_the_partition_is_that_of_the_caller():
    arn = "arn:aws-us-gov:sts::123456789012:assumed-role/Admin/a:b"
    place = Aws(Sts(lambda: {"Arn": arn}), "us-gov-west-1").place()
    assert place == Place("aws-us-gov", "123456789012", "us-gov-west-1")


def test_without_credentials_the_way_to_the_demo_is_told(aws):
    with pytest.raises(AwsError, match="asking AWS who you are: no AWS credentials") as told:
        aws.place()
    assert "--profile" in told.value.hint
    assert "ctwatch demo" in told.value.hint


def test_what_is_no_answer_of_aws_is_a_sentence():
    proxy = Sts(raising(ResponseParserError("Unable to parse response")))
    with pytest.raises(AwsError, match="asking AWS who you are: what answered is not AWS"):
        Aws(proxy, REGION).place()


@pytest.mark.usefixtures("sandbox")
def test_a_key_that_nobody_knows_is_refused_with_a_hint(monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODYKNOWSTHIS0")
    with pytest.raises(AwsError, match="GetCallerIdentity answered InvalidClientTokenId") as told:
        connect(None, REGION).place()
    assert "log in again" in told.value.hint


@pytest.mark.usefixtures("aws")
def test_a_profile_that_is_not_there_is_told():
    with pytest.raises(ConfigError, match=r"--profile: .*nobody") as told:
        connect("nobody", REGION)
    assert "aws configure list-profiles" in told.value.hint


@pytest.mark.usefixtures("aws")
def test_a_broken_config_file_of_aws_is_named(monkeypatch, tmp_path):
    broken = tmp_path / "config"
    broken.write_text("[[[ no\n x")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(broken))
    with pytest.raises(ConfigError, match=str(broken)) as told:
        connect(None, REGION)
    assert "AWS_CONFIG_FILE" in told.value.hint


def test_the_time_is_aws_s_own_in_whole_seconds(sandbox):
    aws = connect(None, sandbox.region, Clock(speed=100_000))  # a clock that is wrong in no time
    aws.clock.sleep(3600)
    told = aws.time()
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=10)
    assert told.microsecond == 0


def test_when_an_answer_was_given_it_says_itself_or_our_clock_does(aws):
    date = {"HTTPHeaders": {"date": "Sat, 21 Nov 2026 12:00:00 GMT"}}
    assert aws.date({"ResponseMetadata": date}) == datetime(2026, 11, 21, 12, tzinfo=UTC)
    aws.clock = Clock()
    told = aws.date({"ResponseMetadata": {}})
    assert abs(told - datetime.now(UTC)) < timedelta(seconds=5)
    assert told.microsecond == 0


def test_a_time_that_aws_does_not_tell_is_a_sentence(aws):
    with pytest.raises(AwsError, match="asking AWS for the time: no AWS credentials"):
        aws.time()


@pytest.mark.usefixtures("aws")
def test_some_calls_here_and_some_elsewhere_is_refused(monkeypatch):
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SNS", "http://127.0.0.1:9")
    with pytest.raises(ConfigError, match=r"calls of sns go to this machine.*cloudtrail") as told:
        _ = connect(None, REGION).on_loopback
    assert "AWS_ENDPOINT_URL" in told.value.hint


def test_so_it_is_where_the_profile_leads_one_service_elsewhere(aws, monkeypatch, tmp_path):
    assert aws.on_loopback
    monkeypatch.delenv("AWS_ENDPOINT_URL")  # it would come first
    profile = (
        "[default]\nendpoint_url = http://127.0.0.1:9\nservices = own\n"
        "[services own]\nsqs =\n  endpoint_url = https://x.test\n"
    )
    (tmp_path / "config").write_text(profile, encoding="utf-8")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    with pytest.raises(ConfigError, match="those of sqs elsewhere"):
        _ = connect(None, REGION).on_loopback


def test_the_sandbox_is_on_loopback_and_aws_is_not(aws, monkeypatch):
    assert aws.on_loopback
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    session = Session()
    session.set_credentials("x", "y")
    assert not Aws(session, REGION).on_loopback


@pytest.mark.parametrize(
    ("url", "here"),
    [
        ("http://127.0.0.1:4566", True), ("http://127.9.9.9", True), ("http://localhost", True),
        ("http://[::1]:80", True), ("https://sns.ap-northeast-2.amazonaws.com", False),
        ("http://localhost.example.com", False), ("http://10.0.0.1", False),
        ("http://127.0.0.1.example.com", False), ("http://0.0.0.0", False), ("", False),
        ("http://127.0.0.1@example.com", False), ("http://[", False), ("127.0.0.1", False),
    ],
)  # fmt: skip
def test_loopback_is_this_machine_and_nothing_that_looks_like_it(url, here):
    assert is_loopback(url) is here


# ---------------------------------------------------------------- complaints


def test_a_refusal_names_what_was_done_the_call_the_code_and_the_message():
    told = complaint(refused("TrailNotFoundException", " Unknown trail. "), "looking at trail t")
    assert told.problem == (
        "looking at trail t: StopLogging answered TrailNotFoundException: Unknown trail."
    )
    assert (told.code, told.operation) == ("TrailNotFoundException", "StopLogging")


@pytest.mark.parametrize(
    ("code", "message", "hint"),
    [
        ("AccessDenied", "no", "may not call StopLogging"),
        ("AccessDeniedException", "no", "may not call StopLogging"),
        ("AuthorizationError", "no", "may not call StopLogging"),
        ("403", "Forbidden", "may not call StopLogging"),
        ("AccessDenied", "with an explicit deny in a service control policy", "organization"),
        ("ExpiredToken", "no", "log in again"),
        ("ExpiredTokenException", "no", "log in again"),
        ("RequestExpired", "no", "log in again"),
        ("InvalidClientTokenId", "no", "log in again"),
        ("UnrecognizedClientException", "no", "log in again"),
        ("InvalidAccessKeyId", "no", "log in again"),
        ("MaximumNumberOfTrailsExceededException", "no", "five trails"),
        ("TrailAlreadyExistsException", "no", "trail.name"),
        ("BucketAlreadyExists", "no", "-{account}-{region}-an"),
        ("InsufficientS3BucketPolicyException", "no", "ctwatch plan"),
        ("InternalFailure", "no", "not done twice"),
    ],
)
def test_each_refusal_has_a_hint_that_helps(code, message, hint):
    assert hint in complaint(refused(code, message), "doing").hint


def test_a_bucket_that_may_not_be_seen_may_be_another_s():
    hint = complaint(refused("403", "Forbidden", "HeadBucket"), "doing").hint
    assert "may not call HeadBucket" in hint
    assert "another account owns that bucket" in hint


def test_a_refusal_without_a_body_is_still_a_sentence():
    told = complaint(ClientError({}, "HeadBucket"), "looking at bucket b")
    assert told.problem.startswith("looking at bucket b: HeadBucket answered")


@pytest.mark.parametrize(
    ("error", "problem", "hint"),
    [
        (NoCredentialsError(), "no AWS credentials were found", "ctwatch demo"),
        (
            PartialCredentialsError(provider="env", cred_var="key"),
            "no AWS credentials were found",
            "ctwatch demo",
        ),
        (
            EndpointConnectionError(endpoint_url="https://sts.example"),
            "AWS cannot be reached: Could not connect",
            "network",
        ),
        (ReadTimeoutError(endpoint_url="https://sts.example"), "AWS cannot be reached", "network"),
        (SSOTokenLoadError(error_msg="gone"), "Error loading SSO Token: gone", "aws sso login"),
        (TokenRetrievalError(provider="sso", error_msg="gone"), "gone", "aws sso login"),
        (CredentialRetrievalError(provider="p", error_msg="gone"), "gone", "Log in again"),
        (BotoCoreError(), "An unspecified error occurred", "Run again"),
        (ResponseParserError("not XML"), "what answered is not AWS", "A proxy"),
    ],
)
def test_what_never_became_a_refusal_is_told_by_its_family(error, problem, hint):
    told = complaint(error, "looking at trail t")
    assert told.problem.startswith("looking at trail t: ")
    assert problem in told.problem
    assert hint in told.hint
    assert told.code == ""
