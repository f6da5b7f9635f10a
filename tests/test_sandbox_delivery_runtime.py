import io
import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from ctwatch.clock import Clock, LeapingClock
from ctwatch.sandbox import runtime
from ctwatch.sandbox.work import Work

MEASURED = {name: value for name, value in os.environ.items() if name.startswith("COVERAGE_")}
VARIABLES = {
    "AWS_LAMBDA_FUNCTION_NAME": "notify",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "128",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/notify",
    "AWS_LAMBDA_LOG_STREAM_NAME": "stream",
}


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Serve a module's handler in this process; the answers and the log."""
    for name, value in VARIABLES.items():
        monkeypatch.setenv(name, value)
    monkeypatch.syspath_prepend(tmp_path)
    before = list(logging.getLogger().handlers)

    def serve(source, *events, module="served_one"):
        (tmp_path / f"{module}.py").write_text(source)
        sys.modules.pop(module, None)
        requests = [
            json.dumps({"id": f"r{n}", "arn": "arn:f", "deadline_ms": 0, "event": json.dumps(one)})
            for n, one in enumerate(events)
        ]
        answers, log = io.StringIO(), io.StringIO()
        runtime.serve(f"{module}.handler", io.StringIO("\n".join(requests)), answers, log)
        return [json.loads(line) for line in answers.getvalue().splitlines()], log.getvalue()

    yield serve
    logging.getLogger().handlers[:] = before


def test_each_request_gets_one_answer_and_one_mark(served, capsys):
    source = (
        "import logging\n"
        "def handler(event, context):\n"
        "    logging.warning('seen')\n"
        "    return [event, context.aws_request_id, context.get_remaining_time_in_millis()]"
    )
    answers, log = served(source, {"a": 1}, "두")
    assert answers == [
        {"ready": True},
        {"payload": '[{"a": 1}, "r0", 0]'},
        {"payload": '["두", "r1", 0]'},
    ]
    assert log.split("\n")[1::2] == [f"{runtime.MARK}{name}" for name in ("init", "r0", "r1")]
    assert [line.split("\t")[2] for line in capsys.readouterr().out.splitlines()] == ["r0", "r1"]


def test_a_module_that_fails_is_answered_and_ends_it(served):
    answers, _ = served("raise SystemExit(2)", {})
    assert [answer["exit"] for answer in answers] == [True]
    answers, _ = served("def other(e, c): pass", {}, module="served_two")
    assert answers[0]["error"]["errorType"] == "Runtime.HandlerNotFound"
    assert answers[0]["error"]["stackTrace"] == []


@pytest.mark.parametrize(("code", "status"), [("3", 3), ("'words'", 1), ("", 0)])
def test_an_exit_is_an_error_with_its_status(served, code, status):
    answers, _ = served(f"import sys\ndef handler(e, c): sys.exit({code})", {}, {})
    assert len(answers) == 2
    assert answers[1]["error"]["errorMessage"].endswith(f"exit status {status}")


def test_a_stack_begins_in_the_function(served):
    answers, _ = served(
        "def handler(e, c):\n    inner()\ndef inner():\n    raise KeyError('x')", {}
    )
    error = answers[1]["error"]
    assert (error["errorType"], error["requestId"]) == ("KeyError", "r0")
    assert ["inner()" in line or "raise" in line for line in error["stackTrace"]] == [True, True]


def test_what_cannot_be_written_as_json_is_an_error(served):
    answers, _ = served("def handler(e, c): return object()", {})
    assert answers[1]["error"]["errorType"] == "Runtime.MarshalError"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("handler", "Runtime.MalformedHandlerName"),
        (".handler", "Runtime.MalformedHandlerName"),
        ("no_such_module_here.handler", "Runtime.ImportModuleError"),
    ],
)
def test_a_handler_that_cannot_be_loaded_is_named_as_lambda_names_it(name, kind):
    with pytest.raises(runtime.LambdaError) as failed:
        runtime.load(name)
    assert failed.value.error_type == kind


def test_a_syntax_error_is_one_of_the_user_s(served):
    answers, _ = served("def handler(:", {}, module="served_three")
    assert answers[0]["error"]["errorType"] == "Runtime.UserCodeSyntaxError"


def test_a_package_is_kept_out_unless_the_function_brings_it(tmp_path):
    finder = runtime.Stranger("ctwatch", str(tmp_path))
    assert finder.find_spec("json", None) is None
    assert finder.find_spec("ctwatch.errors", ["x"]) is None
    with pytest.raises(ModuleNotFoundError, match="No module named 'ctwatch'"):
        finder.find_spec("ctwatch", None)
    (tmp_path / "ctwatch.py").touch()
    assert finder.find_spec("ctwatch", None).origin == str(tmp_path / "ctwatch.py")


def test_the_process_keeps_its_own_pipes_and_ends_with_its_input(tmp_path):
    (tmp_path / "main.py").write_text(
        "import sys\ndef handler(e, c):\n    print('heard', repr(sys.stdin.read()))\n    return e"
    )
    environment = {**VARIABLES, "LAMBDA_TASK_ROOT": str(tmp_path), "_HANDLER": "main.handler"}
    request = {"id": "r", "arn": "a", "deadline_ms": 0, "event": "[1]"}
    done = subprocess.run(
        [sys.executable, "-I", str(Path(runtime.__file__))],
        input=json.dumps(request) + "\n", env={**environment, **MEASURED},
        capture_output=True, text=True, check=True, timeout=30,
    )  # fmt: skip
    assert [json.loads(line) for line in done.stdout.splitlines()] == [
        {"ready": True},
        {"payload": "[1]"},
    ]
    assert "heard ''" in done.stderr


# Work


@pytest.fixture
def work():
    broken = []
    one = Work(Clock(speed=1000), broken.append)
    one.broken = broken
    yield one
    one.close(lambda: None)


def test_what_is_due_later_runs_in_the_order_of_its_time():
    done, broken = [], []
    work = Work(LeapingClock(), broken.append)
    try:
        work.later(60, lambda: done.append("late"))
        work.later(20, lambda: done.append("early"))
        work.start(lambda: done.append("now"))
        assert work.idle(5)
    finally:
        work.close(lambda: None)
    assert (done, broken) == (["now", "early", "late"], [])


def test_a_task_may_start_others_and_idle_waits_for_them(work):
    done = []
    work.start(lambda: work.later(30, lambda: work.start(lambda: done.append(1))))
    assert work.idle(5)
    assert done == [1]


def test_a_task_that_raises_is_told_and_harms_no_other(work):
    done = []
    work.start(lambda: 1 / 0)
    assert work.idle(5)
    work.start(lambda: done.append(1))
    assert work.idle(5)
    assert isinstance(work.broken[0], ZeroDivisionError)
    assert done == [1]


def test_dropping_forgets_what_is_due_and_what_is_started_meanwhile(work):
    done, release = [], threading.Event()

    def busy():
        release.wait(5)
        work.start(lambda: done.append("started"))
        work.later(0, lambda: done.append("later"))

    work.later(10**6, lambda: done.append("due"))
    work.start(busy)
    work.drop(release.set)
    assert work.idle(0)
    assert done == []
    work.start(lambda: done.append("after"))
    assert work.idle(5)
    assert done == ["after"]
