import base64
import io
import json
import os
import platform
import re
import signal
import subprocess
import sys
import time
import zipfile

import pytest
from delivery_world import (
    ACCOUNT,
    ALL_LOGS,
    REGION,
    SNS,
    client_error,
    document_of,
    fast,
    stage,
    zipped,
)

from ctwatch.sandbox.calls import Refusal
from ctwatch.sandbox.functions import name_of
from ctwatch.sandbox.zygote import Zygote

__all__ = ["fast", "stage"]  # fixtures
QUIET = "def handler(event, context): return event"
FAILING = "def handler(event, context): raise ValueError('no')"


def payload(answer):
    return json.loads(answer["Payload"])


def test_the_zip_runs_and_answers(stage):
    stage.function("def handler(event, context): return {'got': event, 'word': '한글'}")
    answer = stage.invoke(payload=b'{"a": 1}')
    assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST")
    assert payload(answer) == {"got": {"a": 1}, "word": "한글"}
    assert "FunctionError" not in answer


def test_the_environment_is_clean_and_lambda_s(stage, monkeypatch):
    monkeypatch.setenv("AWS_PROFILE", "real")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    stage.function(
        "import os\ndef handler(event, context): return dict(os.environ)",
        Environment={"Variables": {"MINE": "yes"}},
        MemorySize=256,
    )
    seen = payload(stage.invoke())
    assert "AWS_PROFILE" not in seen
    assert "PYTHONPATH" not in seen
    assert seen["MINE"] == "yes"
    assert seen["AWS_ACCESS_KEY_ID"] == "ASIA"
    assert seen["AWS_SECRET_ACCESS_KEY"].endswith("role/notify-role/notify")
    assert (seen["AWS_REGION"], seen["TZ"]) == (REGION, ":UTC")
    assert seen["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "256"
    assert seen["AWS_LAMBDA_LOG_GROUP_NAME"] == "/aws/lambda/notify"


def test_the_context_tells_of_the_invocation(stage):
    arn = stage.function(
        "def handler(event, context):\n"
        "    return [context.function_name, context.invoked_function_arn, context.aws_request_id,\n"
        "            context.get_remaining_time_in_millis(), context.memory_limit_in_mb]"
    )
    name, told, request_id, left, memory = payload(stage.invoke())
    assert (name, told, request_id, memory) == ("notify", arn, "r-1", "128")
    assert 5000 < left <= 10000


def test_boto3_is_there_and_ctwatch_is_not(stage):
    stage.function("import boto3\ndef handler(event, context):\n    import ctwatch.errors")
    answer = stage.invoke()
    assert payload(answer)["errorType"] == "ModuleNotFoundError"
    assert payload(answer)["errorMessage"] == "No module named 'ctwatch'"


@pytest.mark.parametrize("name", ["boto3", "botocore", "calendar"])
def test_the_zip_comes_before_what_the_runtime_ships(stage, name):
    main = f"import {name}\ndef handler(e, c): return [{name}.MINE, e]"
    stage.function("", Code={"ZipFile": zipped(**{"main": main, name: "MINE = 1"})})
    assert [payload(stage.invoke(payload=b"2")) for _ in range(2)] == [[1, 2], [1, 2]]


def test_a_zip_may_bring_its_own_ctwatch(stage):
    code = zipped(main="import ctwatch\ndef handler(e, c): return ctwatch.MINE", ctwatch="MINE = 1")
    stage.function("", Code={"ZipFile": code})
    assert payload(stage.invoke()) == 1


def test_a_container_is_kept_warm_until_dropped_or_outdated(stage):
    source = "count = 0\ndef handler(e, c):\n    global count\n    count += 1\n    return count"
    stage.function(source)

    def count():
        return payload(stage.invoke())

    assert [count(), count()] == [1, 2]
    stage.delivery.functions.drop()
    assert [count(), count()] == [1, 2]
    stage.do("lambda", "UpdateFunctionConfiguration", FunctionName="notify", Timeout=9)
    assert count() == 1
    newer = zipped(main=source.replace("+= 1", "+= 5"))
    stage.do("lambda", "UpdateFunctionCode", FunctionName="notify", ZipFile=newer)
    assert [count(), count()] == [5, 10]
    assert len([told for told in stage.told("function") if "cold start" in told]) == 4


def test_a_dry_run_of_new_code_changes_nothing(stage):
    stage.function(QUIET)
    stage.do("lambda", "UpdateFunctionCode", FunctionName="notify", ZipFile=zipped(main="x"),
             DryRun=True)  # fmt: skip
    stage.do("lambda", "UpdateFunctionConfiguration", FunctionName="notify", Timeout=9)
    assert payload(stage.invoke(payload=b"[1]")) == [1]


@pytest.mark.parametrize(
    ("source", "config", "kind", "words"),
    [
        (FAILING, {}, "ValueError", "no"),
        ("import nothing_like_it", {}, "Runtime.ImportModuleError",
         "Unable to import module 'main': No module named 'nothing_like_it'"),
        ("def handler(:", {}, "Runtime.UserCodeSyntaxError", "Syntax error in module 'main'"),
        ("x = 1 / 0", {}, "ZeroDivisionError", "division by zero"),
        ("", {}, "Runtime.HandlerNotFound", "Handler 'handler' missing on module 'main'"),
        (QUIET, {"Handler": "main"}, "Runtime.MalformedHandlerName", "Bad handler 'main'"),
        ("def handler(e, c): return {1, 2}", {}, "Runtime.MarshalError", "Unable to marshal"),
        ("import sys\ndef handler(e, c): sys.exit(3)", {}, "Runtime.ExitError", "exit status 3"),
        ("import os\ndef handler(e, c): os._exit(4)", {}, "Runtime.ExitError", "exit status 4"),
        (QUIET, {"Code": {"ZipFile": zipped(mode=0o600, main=QUIET)}},
         "Runtime.ImportModuleError", "Permission denied: '/var/task/main.py'"),
    ],
)  # fmt: skip
def test_what_fails_is_reported_as_lambda_does_and_the_next_try_starts_anew(
    stage, source, config, kind, words
):
    stage.function(source, **config)
    for _ in range(2):
        answer = stage.invoke()
        assert answer["FunctionError"] == "Unhandled"
        assert payload(answer)["errorType"] == kind
        assert words in payload(answer)["errorMessage"]
    assert f"failed: {kind}: " in stage.told("function", ok=False)[0]


def test_an_exception_shows_where_it_was_raised_and_is_logged(stage):
    stage.function(FAILING)
    stack = payload(stage.invoke())["stackTrace"]
    assert len(stack) == 1
    assert '"/var/task/main.py", line 1, in handler' in stack[0]
    assert stage.delivery.idle()
    error = next(line for line in stage.logged() if line.startswith("[ERROR] ValueError: no"))
    assert "Traceback (most recent call last):" in error


def test_what_takes_too_long_is_ended(stage):
    stage.function("import time\ndef handler(e, c):\n    print('on'), time.sleep(60)", Timeout=1)
    answer = stage.invoke(LogType="Tail")
    assert payload(answer)["errorType"] == "Sandbox.Timedout"
    assert payload(answer)["errorMessage"].endswith("Task timed out after 1.00 seconds")
    assert "\non\n" in base64.b64decode(answer["LogResult"]).decode()


def test_everything_printed_is_logged_between_start_and_report(stage):
    stage.function(
        "import logging, subprocess, sys\n"
        "def handler(event, context):\n"
        "    print('out'); print('err', file=sys.stderr); logging.warning('careful')\n"
        "    subprocess.run([sys.executable, '-c', 'print(\"child\")'], check=True)\n"
        "    print('no newline', end='')"
    )
    tail = base64.b64decode(stage.invoke(LogType="Tail")["LogResult"]).decode()
    assert stage.delivery.idle()
    lines = stage.logged()
    assert tail.splitlines() == lines
    assert lines[0] == "START RequestId: r-1 Version: $LATEST"
    assert sorted(lines[1:3]) == ["err", "out"]
    assert lines[3].startswith("[WARNING]\t")
    assert lines[3].endswith("Z\tr-1\tcareful")
    assert lines[4:7] == ["child", "no newline", "END RequestId: r-1"]
    assert lines[7].startswith("REPORT RequestId: r-1\tDuration: ")
    assert "\tInit Duration: " in lines[7]
    stage.invoke()
    assert stage.delivery.idle()
    assert "Init Duration" not in stage.logged()[-1]


def test_without_its_log_group_logs_are_lost_unless_the_role_may_make_it(stage):
    stage.function(QUIET)
    stage.do("logs", "DeleteLogGroup", logGroupName="/aws/lambda/notify")
    stage.invoke()
    assert stage.delivery.idle()
    (said,) = stage.told("log", ok=False)
    assert said.startswith("lost: there is no log group /aws/lambda/notify and role notify-role")
    assert said.endswith(" may not logs:CreateLogGroup")
    stage.allow("notify-role", (["logs:*"], "*"))
    stage.invoke()
    assert stage.delivery.idle()
    assert len(stage.logged()) == 3


@pytest.mark.parametrize("action", ["logs:CreateLogStream", "logs:PutLogEvents"])
def test_a_role_that_may_not_log_loses_its_logs(stage, action):
    (rest,) = {*ALL_LOGS[0]} - {action}
    stage.function(QUIET, role=stage.role("mute", ([rest], "*")))
    stage.invoke()
    assert stage.delivery.idle()
    assert stage.told("log", ok=False) == [f"lost: role mute may not {action}"]


def test_a_managed_policy_of_the_role_counts(stage):
    document = document_of([{"Effect": "Allow", "Action": "logs:*", "Resource": "*"}])
    made = stage.do("iam", "CreatePolicy", PolicyName="logs", PolicyDocument=document)
    policy = made["Policy"]["Arn"]
    role = stage.role("managed")
    stage.do("iam", "AttachRolePolicy", region="us-east-1", RoleName="managed", PolicyArn=policy)
    stage.function(QUIET, role=role)
    stage.invoke()
    assert stage.delivery.idle()
    assert stage.told("log") == ["written to /aws/lambda/notify"]


def test_code_may_lie_in_a_bucket(stage):
    location = {"CreateBucketConfiguration": {"LocationConstraint": REGION}}
    stage.do("s3", "CreateBucket", Bucket="code", **location)
    stage.do("s3", "PutObject", Bucket="code", Key="z", Body=zipped(main=QUIET))
    stage.function("", Code={"S3Bucket": "code", "S3Key": "z"})
    assert payload(stage.invoke(payload=b"5")) == 5


def test_what_is_no_zip_is_refused(stage):
    role = stage.role("r")
    with pytest.raises(Refusal, match="Could not unzip uploaded file"):
        stage.function("", role=role, Code={"ZipFile": b"no zip"})
    stage.do("logs", "DeleteLogGroup", logGroupName="/aws/lambda/notify")
    stage.function(QUIET, role=role)
    with pytest.raises(Refusal, match="Could not unzip uploaded file"):
        stage.do("lambda", "UpdateFunctionCode", FunctionName="notify", ZipFile=b"no zip")
    assert payload(stage.invoke(payload=b"5")) == 5


def test_a_deleted_function_is_gone(stage):
    arn = stage.function(QUIET)
    stage.invoke()
    stage.do("lambda", "DeleteFunction", FunctionName=arn)
    with pytest.raises(Refusal) as refused:
        stage.invoke()
    assert (refused.value.code, refused.value.status) == ("ResourceNotFoundException", 404)
    assert refused.value.message == f"Function not found: {arn}"


def test_an_unknown_qualifier_is_refused(stage):
    stage.function(QUIET)
    with pytest.raises(Refusal, match=r"function:notify:7$"):
        stage.invoke(Qualifier="7")
    stage.do("lambda", "DeleteFunction", FunctionName="notify", Qualifier="$LATEST")


@pytest.mark.parametrize("given", [b"{", b"\xff"])
def test_a_payload_that_is_no_json_is_refused(stage, given):
    stage.function(QUIET)
    with pytest.raises(Refusal) as refused:
        stage.invoke(payload=given)
    assert refused.value.code == "InvalidRequestContentException"


def test_a_dry_run_runs_nothing(stage):
    stage.function(QUIET)
    assert stage.invoke(InvocationType="DryRun")["StatusCode"] == 204
    assert stage.hops == []


def test_reserved_concurrency_of_zero_throttles(stage):
    stage.function(QUIET)
    stage.do("lambda", "PutFunctionConcurrency", FunctionName="notify",
             ReservedConcurrentExecutions=0)  # fmt: skip
    with pytest.raises(Refusal) as refused:
        stage.invoke()
    assert (refused.value.code, refused.value.status) == ("TooManyRequestsException", 429)
    stage.delivery.functions.accept(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:notify", "{}")
    assert stage.delivery.idle()
    assert "given up (ZeroReservedConcurrency): event lost" in stage.told("function")[0]


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"Runtime": "nodejs22.x"}, "the sandbox runs Python only, not nodejs22.x"),
        ({}, "cannot be assumed by Lambda"),
    ],
)
def test_a_function_that_cannot_start_says_why(stage, config, words):
    stage.function(QUIET, **config)
    trust = {"Effect": "Allow", "Principal": {"Service": SNS}, "Action": "sts:AssumeRole"}
    stage.do("iam", "UpdateAssumeRolePolicy", region="us-east-1", RoleName="notify-role",
             PolicyDocument=document_of([trust]))  # fmt: skip
    answer = stage.invoke()
    assert words in payload(answer)["errorMessage"]
    assert stage.delivery.idle()
    assert stage.told("log", ok=False) == ["lost: the function never started"]


def test_an_event_that_never_started_still_reaches_its_destination(stage):
    _, letters = failing(stage)
    stage.do("lambda", "PutFunctionConcurrency", FunctionName="notify",
             ReservedConcurrentExecutions=0)  # fmt: skip
    asynchronously(stage, DestinationConfig={"OnFailure": {"Destination": letters}})
    record = json.loads(stage.messages(letters)[0]["Body"])
    assert record["requestContext"]["condition"] == "ZeroReservedConcurrency"
    assert record["requestContext"]["approximateInvokeCount"] == 0
    assert "responseContext" not in record


def test_an_image_is_said_not_to_run(stage):
    stage.do("lambda", "CreateFunction", FunctionName="notify", Role=stage.role("r"),
             PackageType="Image", Code={"ImageUri": f"{ACCOUNT}.dkr.ecr.x/y:z"})  # fmt: skip
    assert "the sandbox runs Python only, not an image" in payload(stage.invoke())["errorMessage"]


def test_a_function_without_captured_code_says_so(stage):
    stage.function(QUIET)
    stage.delivery.reset()
    assert "no code of this function" in payload(stage.invoke())["errorMessage"]


def test_several_invocations_run_side_by_side_in_containers_of_their_own(stage):
    source = (
        "import time, os\ndef handler(e, c):\n    time.sleep(0.3)\n    print('pid', os.getpid())"
    )
    arn = stage.function(source)
    for _ in range(3):
        stage.delivery.functions.accept(arn, "{}")
    assert stage.delivery.idle()
    assert len({line for line in stage.logged() if "pid" in line}) == 3


def test_a_full_reserved_concurrency_makes_an_event_wait(stage):
    arn = stage.function("import time\ndef handler(e, c):\n    time.sleep(0.3)")
    stage.do("lambda", "PutFunctionConcurrency", FunctionName="notify",
             ReservedConcurrentExecutions=1)  # fmt: skip
    for _ in range(2):
        stage.delivery.functions.accept(arn, "{}")
    assert stage.delivery.idle()
    assert len([told for told in stage.told("function", ok=False) if "throttled" in told]) >= 1
    assert len([told for told in stage.told("function", ok=True) if "done" in told]) == 2


# Asynchronous events


def failing(stage, **config):
    """A function that always fails, with a queue its role may send to."""
    letters = stage.queue("letters")
    role = stage.role("r", ALL_LOGS, (["sqs:SendMessage", "sns:Publish"], "*"))
    return stage.function(FAILING, role=role, **config), letters


def asynchronously(stage, **settings):
    if settings:
        stage.do("lambda", "PutFunctionEventInvokeConfig", FunctionName="notify", **settings)
    answer = stage.invoke(payload=b'{"a": 1}', InvocationType="Event")
    assert answer["StatusCode"] == 202
    assert stage.delivery.idle(20)


def attempts(stage):
    return len([told for told in stage.told("function", ok=False) if "failed: ValueError" in told])


def test_a_failed_event_is_tried_twice_more_then_handed_to_its_destination(fast):
    arn, letters = failing(fast)
    began = fast.clock.monotonic()
    asynchronously(fast, DestinationConfig={"OnFailure": {"Destination": letters}})
    assert attempts(fast) == 3
    assert fast.clock.monotonic() - began >= 180
    told = " ".join(fast.told("function", ok=False))
    assert re.findall(r"again after (\d) min", told) == ["1", "2"]
    record = json.loads(fast.messages(letters)[0]["Body"])
    assert record.pop("timestamp").endswith("Z")
    assert record["requestContext"].pop("requestId")
    assert record["responsePayload"].pop("stackTrace")
    assert record["responsePayload"].pop("requestId")
    assert record == {
        "version": "1.0",
        "requestContext": {
            "functionArn": f"{arn}:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 3,
        },
        "requestPayload": {"a": 1},
        "responseContext": {
            "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled",
        },
        "responsePayload": {"errorMessage": "no", "errorType": "ValueError"},
    }  # fmt: skip


def test_retries_can_be_switched_off(stage):
    failing(stage)
    asynchronously(stage, MaximumRetryAttempts=0)
    assert attempts(stage) == 1
    assert "given up (RetriesExhausted): event lost" in stage.told("function")[-1]


def test_an_event_that_grows_too_old_is_given_up(fast):
    _, letters = failing(fast)
    asynchronously(fast, MaximumEventAgeInSeconds=100,
                   DestinationConfig={"OnFailure": {"Destination": letters}})  # fmt: skip
    context = json.loads(fast.messages(letters)[0]["Body"])["requestContext"]
    assert context["condition"] == "EventAgeExceeded"
    assert attempts(fast) == context["approximateInvokeCount"] < 3


def test_success_has_a_destination_too(stage):
    letters = stage.queue("letters")
    role = stage.role("r", ALL_LOGS, (["sqs:SendMessage"], letters))
    stage.function(QUIET, role=role)
    asynchronously(stage, DestinationConfig={"OnSuccess": {"Destination": letters}})
    record = json.loads(stage.messages(letters)[0]["Body"])
    assert record["requestContext"]["condition"] == "Success"
    assert record["responseContext"] == {"statusCode": 200, "executedVersion": "$LATEST"}


def test_a_destination_that_the_role_may_not_reach_loses_the_event(stage):
    letters = stage.queue("letters")
    stage.function(FAILING)
    asynchronously(stage, MaximumRetryAttempts=0,
                   DestinationConfig={"OnFailure": {"Destination": letters}})  # fmt: skip
    assert stage.messages(letters) == []
    assert (
        "event lost: letters did not take it: role notify-role may not sqs:SendMessage"
        in (stage.told("function", ok=False)[-1])
    )


def test_a_topic_can_be_the_destination(stage):
    failing(stage)
    topic = stage.topic()
    stage.do("sns", "Subscribe", TopicArn=topic, Protocol="sms", Endpoint="+821012345678")
    asynchronously(stage, MaximumRetryAttempts=0,
                   DestinationConfig={"OnFailure": {"Destination": topic}})  # fmt: skip
    assert json.loads(stage.inbox.texts[0].text)["requestPayload"] == {"a": 1}


def test_other_destinations_are_said_to_be_missing(stage):
    failing(stage)
    bus = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"
    asynchronously(stage, MaximumRetryAttempts=0,
                   DestinationConfig={"OnFailure": {"Destination": bus}})  # fmt: skip
    assert "the sandbox has no destinations of events" in stage.told("function", ok=False)[-1]


def test_an_event_for_a_function_deleted_meanwhile_is_lost(stage):
    stage.delivery.functions.accept(f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:gone", "{}")
    assert stage.delivery.idle()
    assert stage.told("function", ok=False)[0].startswith("event lost: Function not found")


def test_closing_ends_a_function_at_work(stage):
    arn = stage.function("import time\ndef handler(e, c):\n    print('on'), time.sleep(60)",
                         Timeout=60)  # fmt: skip
    stage.delivery.functions.accept(arn, "{}")
    began = stage.clock.monotonic()
    while not stage.delivery.functions._busy:
        stage.clock.sleep(0.01)
    stage.delivery.close()
    assert stage.clock.monotonic() - began < 10
    assert stage.delivery.functions._busy == set()
    assert "Runtime exited with error: signal: 9" in "".join(stage.told("function", ok=False))


def test_a_container_begins_as_a_process_of_its_own_does(stage):
    stage.function(
        "import os, signal, sys, time\n"
        "def handler(event, context):\n"
        "    numbers = sorted(map(int, os.listdir('/proc/self/fd')))[:-1]\n"
        "    interrupted = signal.getsignal(signal.SIGINT) is signal.default_int_handler\n"
        "    return [time.timezone, interrupted, sys.argv[1:], os.getcwd() == sys.path[0],\n"
        "            [os.readlink(f'/proc/self/fd/{one}').split(':')[0] for one in numbers]]",
        Environment={"Variables": {"TZ": "Asia/Seoul"}},
    )
    null, pipe = os.devnull, "pipe"
    own = [null, pipe, pipe, pipe, pipe, pipe, null]  # the last four are the runtime's
    interrupted = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert payload(stage.invoke()) == [-9 * 3600, interrupted, [], True, own]


def test_each_cold_start_runs_the_code_that_is_there_and_says_what_is_wrong_with_it(stage):
    stage.function("")
    for word in ("a", "b", "a", "b"):
        other, asked = f"WORD = '{word}'", "def handler(event, context): return other.WORD"
        stage.do("lambda", "UpdateFunctionCode", FunctionName="notify",
                 ZipFile=zipped(main=f"import other\n{asked}", other=other))  # fmt: skip
        assert payload(stage.invoke()) == word
    for _ in range(2):
        stage.do("lambda", "UpdateFunctionCode", FunctionName="notify",
                 ZipFile=zipped(main="def handler(event, context)"))  # fmt: skip
        error = payload(stage.invoke())
        assert error["errorType"] == "Runtime.UserCodeSyntaxError"


def test_where_no_process_can_be_copied_each_starts_by_itself(stage, monkeypatch):
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    stage.function("import os\ndef handler(e, c): return e or os._exit(4)")
    begun = Zygote._begun
    assert [payload(stage.invoke(payload=b"5")) for _ in range(2)] == [5, 5]
    assert payload(stage.invoke(payload=b"0"))["errorMessage"].endswith("exit status 4")
    assert Zygote._begun is begun


@pytest.mark.exhaustive
def test_when_the_zygote_is_ended_by_another_the_next_container_has_a_new_one(stage):
    stage.function("import os\ndef handler(e, c): return os.getppid()")
    first = payload(stage.invoke())
    os.kill(first, signal.SIGINT)  # Ctrl-C reaches all of a terminal
    stage.delivery.functions.drop()
    assert payload(stage.invoke()) == first
    os.kill(first, signal.SIGKILL)
    Zygote._begun._process.wait()
    assert payload(stage.invoke()) not in {0, first}


def test_all_ends_with_the_process_that_started_it_however_that_ends(tmp_path):
    (tmp_path / "main.py").write_text(
        "import os, time\nprint(os.getpid(), os.getppid())\ntime.sleep(60)"
    )
    source = (
        "import os, sys; from ctwatch.sandbox.zygote import Forked\n"
        f"log = Forked({{'LAMBDA_TASK_ROOT': {str(tmp_path)!r}, '_HANDLER': 'main.f'}}).stderr\n"
        "print(log.readline(), flush=True); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, check=False)
    pids, end = done.stdout.split(), time.monotonic() + 10
    assert len(pids) == 2
    while any(_lives(int(one)) for one in pids):
        assert time.monotonic() < end


def _lives(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_a_log_service_that_fails_is_told(stage):
    stage.function(QUIET)
    stage.faults["put_log_events"] = [client_error("ServiceUnavailableException", 503)]
    stage.invoke()
    assert stage.delivery.idle()
    assert stage.told("log", ok=False) == ["lost: ServiceUnavailableException: as told"]


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("notify", "notify"),
        ("notify:live", "notify"),
        ("arn:aws:lambda:ap-northeast-2:123456789012:function:notify", "notify"),
        ("arn:aws:lambda:ap-northeast-2:123456789012:function:notify:live", "notify"),
        ("123456789012:function:notify", "notify"),
        ("function", "function"),
    ],
)
def test_a_function_may_be_named_in_full_in_part_or_with_a_qualifier(given, name):
    assert name_of(given) == name


def test_a_package_in_a_folder_is_imported_by_its_path(stage):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path in ("package/", "package/inner.py"):
            entry = zipfile.ZipInfo(path)
            entry.external_attr = 0o755 << 16
            archive.writestr(entry, "" if path.endswith("/") else QUIET)
    stage.function("", Code={"ZipFile": buffer.getvalue()}, Handler="package/inner.handler")
    assert payload(stage.invoke(payload=b"7")) == 7
    assert sys.version_info >= (3, 11)
