"""The server itself: whose it is, what it speaks, what it keeps, and how it ends."""

import http.client
import json
import os
import re
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError
from sandbox_stand_ins import (
    ACCOUNT,
    SEOUL,
    VIRGINIA,
    client,
    code,
    front,
    make_bucket,
    make_trail,
    refused,
)

import ctwatch.sandbox
from ctwatch.clock import Clock
from ctwatch.errors import SandboxError
from ctwatch.sandbox import sandbox_class, server, wire
from ctwatch.sandbox.calls import Refusal
from ctwatch.sandbox.server import Sandbox
from ctwatch.sandbox.traffic import Traffic


@pytest.fixture(scope="module")
def running():
    with front(clock=Clock(speed=20)) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.reset()
    running._delivery.answers.clear()
    return running


def answers(sandbox, service, operation, handler):
    """Let the event plane answer an operation, as the real one does for some."""
    sandbox._handlers[service, operation] = handler


@pytest.fixture(autouse=True)
def _own_handlers(running):
    kept = dict(running._handlers)
    yield
    running._handlers = kept


def http_get(url):
    """Status and body of a plain GET."""
    try:
        with urllib.request.urlopen(url) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


# Whose server it is


def test_it_listens_on_loopback_only_and_proves_itself(sandbox):
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+", sandbox.url)
    assert http_get(f"{sandbox.url}/_ctwatch/token") == (200, sandbox._token)
    with pytest.raises(SandboxError, match=r"127\.0\.0\.1 only, not on 0\.0\.0\.0"):
        Sandbox(host="0.0.0.0")


def test_there_is_one_sandbox_in_a_process(sandbox):
    with pytest.raises(SandboxError, match="Another sandbox is running"):
        front().start()
    assert http_get(f"{sandbox.url}/_ctwatch/token")[0] == 200


def test_its_environment_leads_here_and_nowhere_else(sandbox, monkeypatch):
    env = sandbox.env()
    assert env["AWS_ENDPOINT_URL"] == sandbox.url
    assert env["AWS_REGION"] == env["AWS_DEFAULT_REGION"] == SEOUL
    assert env["AWS_CONFIG_FILE"] == env["AWS_SHARED_CREDENTIALS_FILE"] == os.devnull
    assert env["AWS_EC2_METADATA_DISABLED"] == "true"
    for name in ("DISCORD_WEBHOOK_URL", "SLACK_WEBHOOK_URL", "TEAMS_WEBHOOK_URL", "WEBHOOK_URL"):
        assert env[name].startswith("http://127.0.0.1:")
    monkeypatch.setenv("AWS_ENDPOINT_URL_REDSHIFT", "https://elsewhere.example.org")
    assert {"AWS_PROFILE", "AWS_SESSION_TOKEN", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"} < set(
        sandbox.unset()
    )
    assert {"AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL_REDSHIFT"} < set(sandbox.unset())
    assert not set(env) & set(sandbox.unset())


def test_a_client_made_from_the_environment_alone_arrives_here(sandbox, monkeypatch):
    for name in sandbox.unset():
        monkeypatch.delenv(name, raising=False)
    for name, value in sandbox.env().items():
        monkeypatch.setenv(name, value)
    told = boto3.session.Session().client("sts").get_caller_identity()
    assert told["Arn"] == f"arn:aws:iam::{ACCOUNT}:user/sandbox"
    assert told["Account"] == ACCOUNT


def test_inner_clients_do_not_read_the_users_configuration(sandbox, monkeypatch, tmp_path):
    monkeypatch.setenv("AWS_PROFILE", "production")
    monkeypatch.setenv("AWS_ENDPOINT_URL_SQS", "https://elsewhere.example.org")
    config = tmp_path / "config"
    config.write_text("[profile other]\nendpoint_url = https://elsewhere.example.org\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    inner = sandbox.client("sqs", "eu-west-1")
    assert inner.meta.endpoint_url == sandbox.url
    assert inner.list_queues()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert sandbox.client("sqs", "eu-west-1") is inner


# How far away it is, and what comes


def traffic(sandbox):
    """What its page tells of the calls since it was last asked."""
    return json.loads(http_get(f"{sandbox.url}/_ctwatch/traffic")[1])


def test_it_counts_the_calls_and_those_after_one_another_and_begins_anew_when_asked(sandbox):
    sts, both = client(sandbox, "sts"), threading.Barrier(2)

    def together(_, forward):
        both.wait(10)
        return {}

    answers(sandbox, "sts", "GetSessionToken", together)
    traffic(sandbox)
    with ThreadPoolExecutor() as pool:
        list(pool.map(lambda _: sts.get_session_token(), range(2)))
    sts.get_caller_identity()
    refused(client(sandbox, "s3").head_bucket, Bucket="absent")
    http_get(f"{sandbox.url}/_ctwatch/token")
    told = traffic(sandbox)
    assert (told["calls"], told["series"]) == (4, 3)
    assert told["seconds"] > 0
    assert traffic(sandbox) == {"calls": 0, "series": 0, "seconds": 0.0}


def test_in_series_are_the_most_calls_of_which_no_two_were_under_way_at_once():
    now = [0.0]
    seen, calls = Traffic(lambda: now[0]), dict.fromkeys("ABCDE")
    for moment, name in enumerate("CABACDBEDE"):
        now[0] = float(moment)
        if calls[name] is None:
            calls[name] = seen.call()
            calls[name].__enter__()
        else:
            calls[name].__exit__(None, None, None)
        assert seen.burst(1) is None
    now[0] = 10.0
    assert seen.burst(1.5) is None
    burst = seen.burst(1)
    assert (burst.calls, burst.series, burst.seconds) == (5, 2, 9.0)
    assert seen.burst(1) is None
    assert seen.since_asked() == burst


def test_with_latency_every_call_waits_beside_others_before_it_is_performed(sandbox, monkeypatch):
    s3, both, found = client(sandbox, "s3"), threading.Barrier(2), []

    def meet(seconds):
        both.wait(10)
        found.append((seconds, any("bucket" in line for line in sandbox.listing())))
        both.wait(10)

    monkeypatch.setattr(sandbox, "_latency", 0.05)
    monkeypatch.setattr(sandbox.clock, "sleep", meet)
    with ThreadPoolExecutor(2) as pool:
        list(pool.map(lambda number: s3.create_bucket(**bucket_of(number)), range(2)))
    assert found == [(0.05, False)] * 2
    assert http_get(f"{sandbox.url}/_ctwatch/token")[0] == 200
    assert sum("bucket" in line for line in sandbox.listing()) == 2


def bucket_of(number):
    place = {"LocationConstraint": SEOUL}
    return {"Bucket": f"bucket-{number}", "CreateBucketConfiguration": place}


def test_mototools_own_pages_are_closed(sandbox):
    assert http_get(f"{sandbox.url}/moto-api/reset")[0] == 404


# What it speaks


@pytest.mark.parametrize("service", ["sts", "cloudtrail", "lambda", "s3", "sqs"])
def test_every_protocol_shows_the_request_id_of_the_record(sandbox, service):
    asked = {
        "sts": lambda: client(sandbox, "sts").get_caller_identity(),
        "cloudtrail": lambda: client(sandbox, "cloudtrail").describe_trails(),
        "lambda": lambda: client(sandbox, "lambda").list_functions(),
        "s3": lambda: client(sandbox, "s3").list_buckets(),
        "sqs": lambda: client(sandbox, "sqs").list_queues(),
    }
    with sandbox.recording() as seen:
        answer = asked[service]()
    assert answer["ResponseMetadata"]["RequestId"] == seen[0].call.request_id


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("iam", "get_role", {"RoleName": "absent"}),
        ("sns", "get_topic_attributes", {"TopicArn": f"arn:aws:sns:{SEOUL}:{ACCOUNT}:no"}),
        ("cloudtrail", "stop_logging", {"Name": "absent"}),
        ("lambda", "get_function", {"FunctionName": "absent"}),
        ("s3", "get_bucket_tagging", {"Bucket": "absent"}),
        ("sqs", "get_queue_url", {"QueueName": "absent"}),
    ],
)
def test_a_refusal_carries_its_request_id_too(sandbox, service, operation, params):
    with sandbox.recording() as seen, pytest.raises(ClientError) as caught:
        getattr(client(sandbox, service), operation)(**params)
    told = caught.value.response
    assert told["ResponseMetadata"]["RequestId"] == seen[0].call.request_id
    assert told["Error"]["Code"] == seen[0].error
    assert told["Error"]["Message"] == seen[0].message != ""


@pytest.mark.parametrize(
    ("service", "operation", "params", "refusal"),
    [
        ("sns", "list_topics", {}, Refusal("Throttled", "Rate < exceeded & more", 400)),
        ("events", "list_rules", {}, Refusal("InternalException", "broken", 500)),
        ("lambda", "list_functions", {}, Refusal("TooManyRequestsException", "slow", 429)),
        ("s3", "list_buckets", {}, Refusal("SlowDown", "reduce <rate>", 503)),
        ("sqs", "list_queues", {}, Refusal("QueueDoesNotExist", "gone")),
        ("sqs", "list_queues", {}, Refusal("SomethingElse", "odd", 500)),
    ],
)
def test_what_the_event_plane_refuses_is_said_in_the_services_words(
    sandbox, service, operation, params, refusal
):
    def refuse(*_):
        raise refusal

    name = "".join(part.capitalize() for part in operation.split("_"))
    answers(sandbox, service, name, refuse)
    said = {"QueueDoesNotExist": "AWS.SimpleQueueService.NonExistentQueue"}
    with pytest.raises(ClientError) as caught:
        getattr(client(sandbox, service), operation)(**params)
    told = caught.value.response
    assert told["Error"]["Code"] == said.get(refusal.code, refusal.code)
    assert told["Error"]["Message"] == refusal.message
    assert told["ResponseMetadata"]["HTTPStatusCode"] == refusal.status


def test_what_the_event_plane_answers_is_parsed_by_boto3(sandbox):
    answers(sandbox, "sns", "Publish", lambda *_: {"MessageId": "m-1"})
    answers(sandbox, "sqs", "SendMessage", lambda *_: {"MessageId": "m-2"})
    answers(
        sandbox,
        "lambda",
        "Invoke",
        lambda call, _: {
            "StatusCode": 202,
            "Payload": call.params["Payload"],
            "FunctionError": "Unhandled",
        },
    )
    functions = client(sandbox, "lambda")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(server.strictness, "CHECKS", {})
        invoked = functions.invoke(FunctionName="ours", Payload=b'{"a": "\xed\x95\x9c"}')
    assert invoked["Payload"].read() == b'{"a": "\xed\x95\x9c"}'
    assert (invoked["StatusCode"], invoked["FunctionError"]) == (202, "Unhandled")
    topic = {"TopicArn": f"arn:aws:sns:{SEOUL}:{ACCOUNT}:alerts", "Message": "x"}
    assert client(sandbox, "sns").publish(**topic)["MessageId"] == "m-1"


def test_the_event_plane_sees_parameters_in_botocores_shape_and_may_change_them(sandbox):
    seen = []

    def rename(call, forward):
        seen.append(call)
        return forward(call.but(Name=f"{call.params['Name']}-renamed"))

    answers(sandbox, "sns", "CreateTopic", rename)
    tags = [{"Key": "a", "Value": "b"}]
    attributes = {"DisplayName": "ours", "FifoTopic": "false"}
    made = client(sandbox, "sns").create_topic(Name="alerts", Tags=tags, Attributes=attributes)
    assert made["TopicArn"].endswith(":alerts-renamed")
    (call,) = seen
    assert call.params == {"Name": "alerts", "Tags": tags, "Attributes": attributes}
    assert (call.service, call.operation, call.region) == ("sns", "CreateTopic", SEOUL)


def test_a_second_thought_after_moto_agreed_is_what_the_caller_hears(sandbox):
    def change_of_mind(call, forward):
        forward(call)
        raise Refusal("Throttled", "too fast")

    answers(sandbox, "sns", "ListTopics", change_of_mind)
    assert refused(client(sandbox, "sns").list_topics) == ("Throttled", "too fast")


def test_moto_refusing_a_changed_call_is_a_refusal(sandbox):
    answers(
        sandbox, "sqs", "GetQueueUrl", lambda call, forward: forward(call.but(QueueName="other"))
    )
    answers(sandbox, "sqs", "ListQueues", lambda call, forward: forward(call.but(MaxResults="x")))
    sqs = client(sandbox, "sqs")
    assert code(sqs.get_queue_url, QueueName="x") == "AWS.SimpleQueueService.NonExistentQueue"
    assert code(sqs.list_queues) == "ValidationException"


@pytest.mark.parametrize("style", ["path", "virtual"])
def test_s3_is_understood_by_path_and_by_host(sandbox, style):
    make_bucket(sandbox)
    port = sandbox.url.rsplit(":", 1)[1]
    s3 = client(
        sandbox,
        "s3",
        endpoint_url=f"http://localhost:{port}",
        config=Config(s3={"addressing_style": style}, retries={"total_max_attempts": 1}),
    )
    if style == "virtual":  # what resolves subdomains of localhost is not the test's business
        s3.meta.events.register("before-send.s3", lambda request, **_: to_loopback(request))
    with sandbox.recording() as seen:
        s3.get_bucket_location(Bucket="logs-of-ours")
        s3.put_object(Bucket="logs-of-ours", Key="a/b", Body=b"x")
    assert [one.operation for one in seen] == ["GetBucketLocation", "PutObject"]
    assert {one.params["Bucket"] for one in seen} == {"logs-of-ours"}


def to_loopback(request):
    host = request.url.split("/")[2]
    request.headers["Host"] = host
    request.url = request.url.replace(host, f"127.0.0.1:{host.rsplit(':', 1)[1]}")


def test_an_unsigned_request_passes_unrecorded(sandbox):
    make_bucket(sandbox)
    s3 = client(sandbox, "s3")
    s3.put_object(Bucket="logs-of-ours", Key="k", Body=b"held")
    signed = s3.generate_presigned_url("get_object", {"Bucket": "logs-of-ours", "Key": "k"})
    with sandbox.recording() as seen:
        assert http_get(signed) == (200, "held")
        assert http_get(f"{sandbox.url}/logs-of-ours/absent")[0] in {403, 404}
    assert seen == []


def test_a_chunked_body_and_one_that_waits_for_a_go_ahead_arrive_whole(sandbox):
    make_bucket(sandbox)
    s3 = client(sandbox, "s3")
    params = {"Bucket": "logs-of-ours", "Key": "k"}
    address = s3.generate_presigned_url("put_object", params)[len(sandbox.url) :]
    connection = http.client.HTTPConnection(*sandbox.url[7:].split(":"), timeout=10)
    try:
        connection.request("PUT", address, body=iter([b"one", b"two"]), encode_chunked=True)
        assert connection.getresponse().read() == b""
        assert s3.get_object(**params)["Body"].read() == b"onetwo"
        connection.request("PUT", address, body=b"x", headers={"Expect": "100-continue"})
        connection.getresponse().read()
        assert s3.get_object(**params)["Body"].read() == b"x"
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("service", "target", "body"),
    [
        ("cloudtrail", "CloudTrail_20131101.NoSuchThing", b"{}"),
        ("cloudtrail", "", b"{}"),
        ("s3", "", b"<unfinished"),
    ],
)
def test_what_cannot_be_read_is_left_to_moto_and_never_a_page(sandbox, service, target, body):
    scope = f"Credential=AKIACTWATCHSANDBOX00/20261121/{SEOUL}/{service}/aws4_request"
    request = urllib.request.Request(f"{sandbox.url}/x?tagging", data=body, method="PUT")
    request.add_header("Authorization", f"AWS4-HMAC-SHA256 {scope}, SignedHeaders=host")
    request.add_header("X-Amz-Target", target)
    request.add_header("Content-Type", "application/x-amz-json-1.1")
    with sandbox.recording() as seen, pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request)
    with caught.value as error:
        assert b"Traceback" not in (told := error.read())
        assert b"<html" not in told.lower()
    assert seen == []


def test_the_account_and_the_region_are_the_callers_choice(running):
    running.stop()
    try:
        with front(account="210987654321", region="eu-west-1") as other:
            told = client(other, "sts", "eu-west-1").get_caller_identity()
            assert told["Account"] == "210987654321"
            made = client(other, "sns", "eu-west-1").create_topic(Name="alerts")
            assert made["TopicArn"] == "arn:aws:sns:eu-west-1:210987654321:alerts"
            assert other.client("sns", "eu-west-1").list_topics()["Topics"] == [made_of(made)]
            assert other.env()["AWS_REGION"] == "eu-west-1"
    finally:
        running.start()


def made_of(made):
    return {"TopicArn": made["TopicArn"]}


# What it lacks


def test_what_moto_lacks_is_a_clean_refusal_and_a_line_in_the_story(sandbox):
    iam = client(sandbox, "iam")
    why, message = refused(
        iam.simulate_principal_policy,
        PolicySourceArn=f"arn:aws:iam::{ACCOUNT}:role/x",
        ActionNames=["s3:GetObject"],
    )
    assert why == "InternalFailure"
    assert "sandbox" in message
    assert "Traceback" not in message
    assert any(
        hop.stage == "call" and not hop.ok and "sandbox" in hop.text for hop in sandbox.story
    )


def test_a_service_that_is_not_taken_apart_passes_or_is_refused_cleanly(sandbox):
    ec2 = client(sandbox, "ec2")
    assert ec2.describe_regions(RegionNames=[SEOUL])["Regions"][0]["RegionName"] == SEOUL
    analyzer = client(sandbox, "accessanalyzer")
    validate = {"policyDocument": "{}", "policyType": "RESOURCE_POLICY"}
    assert code(analyzer.validate_policy, **validate) == "InternalFailure"


def test_a_fault_of_the_sandbox_is_no_traceback_for_the_caller(sandbox, caplog):
    answers(sandbox, "sns", "ListTopics", lambda *_: 1 / 0)
    why, message = refused(client(sandbox, "sns").list_topics)
    assert (why, "division" in message) == ("InternalFailure", False)
    assert "ZeroDivisionError" in caplog.text


# What it keeps


def test_it_keeps_every_call_with_its_ending(sandbox):
    cloudtrail = client(sandbox, "cloudtrail")
    with sandbox.recording() as seen:
        cloudtrail.describe_trails()
        code(cloudtrail.stop_logging, Name="absent")
    cloudtrail.describe_trails()
    assert [(one.service, one.operation, one.error, one.writes) for one in seen] == [
        ("cloudtrail", "DescribeTrails", "", False),
        ("cloudtrail", "StopLogging", "TrailNotFoundException", True),
    ]
    assert seen[1].params == {"Name": "absent"}
    assert seen[1].message.startswith("Unknown trail")
    assert sandbox.calls[:2] == seen
    assert len(sandbox.calls) == 3
    assert seen[1].event_id == [*sandbox._history][1]["eventID"]


def test_what_moto_lacks_is_a_refusal_for_inner_clients_too(sandbox):
    asked = {"PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/x", "ActionNames": ["s3:GetObject"]}
    with pytest.raises(Refusal, match="InternalFailure"):
        sandbox.client("iam", SEOUL).simulate_principal_policy(**asked)


def test_inner_clients_are_neither_checked_nor_kept(sandbox):
    inner = sandbox.client("cloudtrail", SEOUL)
    sandbox.client("s3", VIRGINIA).create_bucket(Bucket="bare")
    inner.create_trail(Name="watched", S3BucketName="bare")
    inner.start_logging(Name="watched")
    assert sandbox.calls == sandbox.story == sandbox._delivery.events == []


def test_every_hop_is_told_as_it_happens(running):
    running.stop()
    told = []
    try:
        with front(narrate=told.append) as sandbox:
            code(client(sandbox, "cloudtrail").stop_logging, Name="absent")
            assert told == sandbox.story
            assert [(hop.stage, hop.subject) for hop in told] == [
                ("call", "absent"),
                ("record", "absent"),
            ]
            assert told[0].text.endswith(": TrailNotFoundException")
            assert not told[0].ok
            client(sandbox, "kms").create_key()
            assert told[-2].subject == "kms"
    finally:
        running.start()


def test_the_listing_names_everything_in_every_region_used(sandbox):
    assert sandbox.listing() == []
    make_trail(sandbox)
    sns, sqs, logs = (client(sandbox, one) for one in ("sns", "sqs", "logs"))
    topic = sns.create_topic(Name="alerts")["TopicArn"]
    url = sqs.create_queue(QueueName="letters")["QueueUrl"]
    queue = f"arn:aws:sqs:{SEOUL}:{ACCOUNT}:letters"
    made = sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue)["SubscriptionArn"]
    logs.create_log_group(logGroupName="/aws/lambda/ours")
    client(sandbox, "ssm").put_parameter(Name="/webhook", Value="x", Type="String")
    events = client(sandbox, "events", VIRGINIA)
    events.put_rule(Name="away", ScheduleExpression="rate(1 hour)")
    events.put_targets(Rule="away", Targets=[{"Id": "1", "Arn": queue}])
    iam = client(sandbox, "iam")
    iam.create_role(
        RoleName="runner",
        AssumeRolePolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{ACCOUNT}:root"},
                    "Action": "sts:AssumeRole",
                },
            }
        ),
    )
    document = {"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue}
    policy = json.dumps({"Version": "2012-10-17", "Statement": document})
    iam.put_role_policy(RoleName="runner", PolicyName="inline", PolicyDocument=policy)
    iam.create_policy(PolicyName="managed", PolicyDocument=policy)
    iam.create_user(UserName="eve")
    kms = client(sandbox, "kms")
    key = kms.create_key()["KeyMetadata"]["KeyId"]
    kms.create_alias(AliasName="alias/ours", TargetKeyId=key)
    assert sandbox.listing() == [
        "cloudtrail trail watched",
        "events rule away",
        "events target away/1",
        "iam policy managed",
        "iam role runner",
        "iam role-policy runner/inline",
        "iam user eve",
        "kms alias alias/ours",
        f"kms key {key}",
        "logs log-group /aws/lambda/ours",
        "s3 bucket watched-logs",
        f"sns subscription {made} {queue}",
        f"sns topic {topic}",
        f"sqs queue {url}",
        "ssm parameter /webhook",
    ]
    sandbox.reset()
    assert sandbox.listing() == []
    assert sandbox.calls == sandbox.story == []


def test_a_reset_keeps_the_address_and_forgets_lent_keys(sandbox):
    url = sandbox.url
    lent = sandbox.credentials(f"arn:aws:iam::{ACCOUNT}:role/runner", "ours")
    sandbox.reset()
    assert sandbox.url == url
    stranger = client(sandbox, "sts", aws_access_key_id=lent["AWS_ACCESS_KEY_ID"])
    assert code(stranger.get_caller_identity) == "InvalidClientTokenId"
    assert sandbox.idle(1)
    assert not sandbox.idle(0)


# Time, threads and connections


def test_a_long_poll_waits_by_the_sandboxs_clock(sandbox):
    sqs = client(sandbox, "sqs")
    url = sqs.create_queue(QueueName="letters")["QueueUrl"]
    before = sandbox.clock.monotonic()
    assert "Messages" not in sqs.receive_message(QueueUrl=url, WaitTimeSeconds=4)
    assert 4 <= sandbox.clock.monotonic() - before < 40
    timer = threading.Timer(0.05, sqs.send_message, kwargs={"QueueUrl": url, "MessageBody": "x"})
    timer.start()
    got = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20)
    timer.join()
    assert [one["Body"] for one in got["Messages"]] == ["x"]


def test_a_record_is_dated_by_the_sandboxs_clock(sandbox):
    sns = client(sandbox, "sns")
    sns.list_topics()
    sandbox.clock.sleep(10)
    sns.list_topics()
    first, second = (one.call.time for one in sandbox.calls)
    assert (second - first).total_seconds() >= 10


def test_one_connection_serves_many_calls(sandbox):
    connection = http.client.HTTPConnection(*sandbox.url[7:].split(":"), timeout=10)
    try:
        connection.connect()
        opened = connection.sock
        for path in ("/_ctwatch/token", "/moto-api/x", "/_ctwatch/token"):
            connection.request("GET", path)
            connection.getresponse().read()
            assert connection.sock is opened
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("announced", "sent"),
    [
        ("Content-Length: 30", b'{"Name": '),
        ("Content-Length: 30", b""),
        ("Transfer-Encoding: chunked", b'1e\r\n{"Name": '),
        ("Transfer-Encoding: chunked", b'9\r\n{"Name": \r\n'),
    ],
)
def test_a_request_that_is_cut_off_is_neither_judged_nor_applied(
    sandbox, announced, sent, capfd, caplog
):
    host, port = sandbox.url[7:].split(":")
    head = (
        "POST / HTTP/1.1",
        f"Host: {host}",
        "Content-Type: application/x-amz-json-1.1",
        "X-Amz-Target: CloudTrail_20131101.UpdateTrail",
        announced,
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall("\r\n".join((*head, "", "")).encode() + sent)
        connection.shutdown(socket.SHUT_WR)
        assert connection.recv(1) == b""
    assert not sandbox.calls
    assert (capfd.readouterr().err, caplog.text) == ("", "")


def test_three_clients_at_once_get_each_their_own_answer(sandbox):
    def work(number):
        sns = client(sandbox, "sns", (SEOUL, VIRGINIA, "eu-west-1")[number])
        made = [sns.create_topic(Name=f"topic-{number}-{turn}") for turn in range(20)]
        told = {one["TopicArn"] for one in sns.list_topics()["Topics"]}
        return told == {one["TopicArn"] for one in made}

    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(work, range(3))) == [True] * 3
    assert len(sandbox.calls) == 63


# The links in its mails


def test_a_link_confirms_and_another_unsubscribes_without_a_record(sandbox):
    taken = []

    def take(call, _):
        taken.append(call)
        if call.params.get("Token") == "bad":
            raise Refusal("InvalidParameter", "Invalid parameter: <Token>")
        return {"SubscriptionArn": "arn:of:it"}

    answers(sandbox, "sns", "ConfirmSubscription", take)
    answers(sandbox, "sns", "Unsubscribe", take)
    topic = f"arn:aws:sns:{VIRGINIA}:{ACCOUNT}:alerts"
    status, page = http_get(f"{sandbox.url}/confirm?TopicArn={topic}&Token=good&x=y")
    assert (status, "Subscription confirmed" in page, "arn:of:it" in page) == (200, True, True)
    assert taken[-1].params == {"TopicArn": topic, "Token": "good"}
    assert taken[-1].region == VIRGINIA
    status, page = http_get(f"{sandbox.url}/confirm?TopicArn={topic}&Token=bad")
    assert (status, "&lt;Token&gt;" in page) == (400, True)
    status, page = http_get(f"{sandbox.url}/unsubscribe?SubscriptionArn={topic}:1")
    assert (status, "Unsubscribed" in page) == (200, True)
    assert taken[-1].params == {"SubscriptionArn": f"{topic}:1"}
    assert sandbox.calls == []


def test_a_link_that_lacks_its_token_is_no_link(sandbox):
    assert http_get(f"{sandbox.url}/confirm?TopicArn=x")[0] in {403, 404}
    status, page = http_get(f"{sandbox.url}/unsubscribe?SubscriptionArn=short")
    assert status == 200
    assert "short" in page


# How it begins and ends


def test_it_stops_twice_starts_again_and_leaves_no_folder(running):
    folder = running.folder
    assert folder.is_dir()
    running.stop()
    running.stop()
    assert not folder.exists()
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(running.url)
    running.start()
    assert running.listing() == []


def test_a_connection_that_outlives_the_sandbox_is_told_so(running):
    connection = http.client.HTTPConnection(*running.url[7:].split(":"), timeout=10)
    try:
        connection.request("GET", "/_ctwatch/token")
        connection.getresponse().read()
        running.stop()
        connection.request("GET", "/_ctwatch/token")
        assert connection.getresponse().status == 503
    finally:
        connection.close()
        running.start()


def test_stopping_one_that_never_started_leaves_the_other_alone(sandbox):
    front().stop()
    assert http_get(f"{sandbox.url}/_ctwatch/token")[0] == 200
    with pytest.raises(SandboxError, match="Another sandbox is running"):
        front().start()


def test_a_given_folder_is_kept(running, tmp_path):
    running.stop()
    try:
        with front(folder=tmp_path) as sandbox:
            assert sandbox.inbox.folder == tmp_path
        assert tmp_path.is_dir()
    finally:
        running.start()


def test_a_stranger_on_the_port_is_found_out(running, monkeypatch):
    running.stop()
    try:
        stranger = wire.Answer(200, {}, b"another token")
        monkeypatch.setattr(Sandbox, "_page", lambda *_: stranger)
        with pytest.raises(SandboxError, match="is not this sandbox"):
            front().start()
        monkeypatch.undo()
        monkeypatch.setattr(server.http.client, "HTTPConnection", broken_connection)
        with pytest.raises(SandboxError, match="does not answer"):
            front().start()
    finally:
        monkeypatch.undo()
        running.start()


def broken_connection(*_, **__):
    class Broken:
        def request(self, *_):
            raise ConnectionRefusedError("refused")

        def close(self):
            pass

    return Broken()


def test_it_says_when_it_is_not_installed(monkeypatch):
    assert sandbox_class() is Sandbox
    monkeypatch.setattr(ctwatch.sandbox, "NEEDS", ("a_package_that_is_not",))
    with pytest.raises(SandboxError, match="not installed") as caught:
        sandbox_class()
    assert caught.value.hint.endswith("pip install '.[sandbox]'")


def test_importing_the_package_imports_no_moto():
    ask = "import sys, ctwatch.sandbox; print([n for n in sys.modules if n in ('moto', 'boto3')])"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# With its real back half


def test_a_call_becomes_a_mail(running):
    running.stop()
    try:
        with Sandbox() as sandbox:
            make_trail(sandbox)
            sns, events = client(sandbox, "sns"), client(sandbox, "events")
            topic = sns.create_topic(Name="alerts")["TopicArn"]
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "events.amazonaws.com"},
                "Action": "sns:Publish",
                "Resource": topic,
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": statement})
            sns.set_topic_attributes(TopicArn=topic, AttributeName="Policy", AttributeValue=policy)
            sns.subscribe(TopicArn=topic, Protocol="email", Endpoint="me@example.org")
            assert sandbox.idle()
            (asked,) = sandbox.inbox.mails
            link = re.search(r"http://127\S+/confirm\S+", asked.text).group(0)
            assert http_get(link)[0] == 200
            pattern = {"detail": {"eventName": ["StopLogging"]}}
            events.put_rule(Name="ours", EventPattern=json.dumps(pattern))
            events.put_targets(Rule="ours", Targets=[{"Id": "1", "Arn": topic}])
            client(sandbox, "cloudtrail").stop_logging(Name="watched")
            assert sandbox.idle()
            told = sandbox.inbox.mails[-1]
            assert '"eventName":"StopLogging"' in told.text.replace(" ", "")
            sandbox.reset()
            assert (list(sandbox.inbox.mails), sandbox.listing()) == ([], [])
    finally:
        running.start()


def test_a_region_that_is_not_enabled_knows_nobody_until_it_is(sandbox):
    far, account = "af-south-1", client(sandbox, "account")
    topics, rules = client(sandbox, "sns", far), client(sandbox, "events", far)
    assert code(topics.list_topics) == "InvalidClientTokenId"
    assert code(rules.list_rules) == "UnrecognizedClientException"
    assert client(sandbox, "iam", far).list_roles()["Roles"] == []  # which is everywhere
    assert account.get_region_opt_status(RegionName=far)["RegionOptStatus"] == "DISABLED"
    assert code(account.get_region_opt_status, RegionName="af-south-9") == "ValidationException"
    account.enable_region(RegionName=far)
    assert account.get_region_opt_status(RegionName=far)["RegionOptStatus"] == "ENABLED"
    assert topics.list_topics()["Topics"] == []
    sandbox.reset()
    assert code(topics.list_topics) == "InvalidClientTokenId"


# What was read before


@pytest.fixture
def asked(sandbox, monkeypatch):
    """The paths that moto was asked for."""
    seen, services = [], sandbox._cloud._services

    def handlers(environ):
        seen.append(environ["PATH_INFO"])
        return services.handlers(environ)

    monkeypatch.setattr(sandbox._cloud, "_services", SimpleNamespace(handlers=handlers))
    return seen


def test_what_nobody_has_changed_is_asked_of_moto_once(sandbox, asked):
    s3 = client(sandbox, "s3")
    for name in ("logs-one", "logs-two"):
        make_bucket(sandbox, name, trails=[name])
    asked.clear()
    read = [s3.get_bucket_policy(Bucket=name)["Policy"] for name in ("logs-one", "logs-two") * 2]
    assert (read[0], read[1]) == (read[2], read[3])
    assert read[0] != read[1]
    assert sorted(asked) == ["/logs-one", "/logs-two"]
    for _ in range(2):
        said = code(s3.get_bucket_lifecycle_configuration, Bucket="logs-one")
        assert said == "NoSuchLifecycleConfiguration"
    assert len(asked) == 3
    s3.delete_bucket_policy(Bucket="logs-one")
    assert code(s3.get_bucket_policy, Bucket="logs-one") == "NoSuchBucketPolicy"
    assert s3.get_bucket_policy(Bucket="logs-two")["Policy"] == read[1]


def test_a_change_by_the_tagging_api_is_seen_in_the_service_itself(sandbox):
    logs, tagging = client(sandbox, "logs"), client(sandbox, "resourcegroupstaggingapi")
    logs.create_log_group(logGroupName="g")
    arn = f"arn:aws:logs:{SEOUL}:{ACCOUNT}:log-group:g"
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {}
    tagging.tag_resources(ResourceARNList=[arn], Tags={"team": "security"})
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"team": "security"}


def test_what_is_counted_in_a_queue_is_counted_anew(sandbox):
    sqs = client(sandbox, "sqs")
    url, counted = sqs.create_queue(QueueName="q")["QueueUrl"], "ApproximateNumberOfMessages"
    for number in range(3):
        read = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        assert read[counted] == str(number)
        sqs.send_message(QueueUrl=url, MessageBody="m")
