"""The far end of a sandboxed Lambda function: load its handler, answer events until told to stop.

Run as a file by `python -I`, never imported by a function. It speaks JSON lines: one request per
line on standard input, one answer per line on what was standard output; everything that the
function prints goes to standard error, where the end of each answer's output is marked. It may
not import anything of ctwatch, and keeps the function from doing so.

The shapes of errors are the runtime's own: https://docs.aws.amazon.com/lambda/latest/dg/python-exceptions.html
"""

import datetime as dt
import functools
import gc
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import logging
import marshal
import os
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any, TextIO

MARK = "\x1eend of output "
"""Begins the line on the log that follows an answer's last output."""

SHIPPED = ("botocore.session", "botocore.config")
"""What the zygote loads: the most of what Lambda's runtime ships, and of the standard library."""

LEAPING = {"_CTWATCH_TIME": "leaps"}
"""In the environment of a function whose time of day is to be that of a sandbox that leaps."""

Handler = Callable[[Any, "Context"], Any]


class LambdaError(Exception):
    """An error that the runtime itself reports.

    Attributes:
        error_type: such as "Runtime.ImportModuleError".
    """

    def __init__(self, error_type: str, message: str) -> None:
        super().__init__(message)
        self.error_type = error_type


class Stranger(importlib.abc.MetaPathFinder):
    """Keeps ctwatch's own package out of the function's reach, unless its zip brings one.

    Args:
        name: the package to keep out.
        root: the function's own folder.
    """

    def __init__(self, name: str, root: str) -> None:
        self._name = name
        self._root = root

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - the interface's; a package has none
        target: ModuleType | None = None,
    ) -> ModuleSpec | None:
        """Find the package in the function's folder or say that there is none."""
        if fullname != self._name:
            return None
        spec = PathFinder.find_spec(fullname, [self._root], target)
        if spec is None:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)
        return spec


@dataclass(frozen=True)
class Context:
    """What a handler is told of its invocation.

    https://docs.aws.amazon.com/lambda/latest/dg/python-context.html
    """

    aws_request_id: str
    invoked_function_arn: str
    deadline_ms: float
    function_name: str = field(default_factory=lambda: os.environ["AWS_LAMBDA_FUNCTION_NAME"])
    function_version: str = field(default_factory=lambda: os.environ["AWS_LAMBDA_FUNCTION_VERSION"])
    memory_limit_in_mb: str = field(
        default_factory=lambda: os.environ["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"]
    )
    log_group_name: str = field(default_factory=lambda: os.environ["AWS_LAMBDA_LOG_GROUP_NAME"])
    log_stream_name: str = field(default_factory=lambda: os.environ["AWS_LAMBDA_LOG_STREAM_NAME"])
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function is timed out."""
        return max(0, int(self.deadline_ms - time.time() * 1000))


class LogLines(logging.Handler):
    """The handler that Lambda puts on the root logger: level, time, request id, message."""

    def __init__(self) -> None:
        super().__init__()
        self.request_id = ""
        line = "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(request_id)s\t%(message)s"
        self.setFormatter(logging.Formatter(line, "%Y-%m-%dT%H:%M:%S"))
        self.formatter.converter = time.gmtime  # type: ignore[union-attr]  # set one line above

    def emit(self, record: logging.LogRecord) -> None:
        """Print the record, with the id of the request under way."""
        record.request_id = self.request_id
        print(self.format(record), flush=True)  # noqa: T201 - the log is standard output


class Ahead(dt.datetime):
    """The time of day as the sandbox's clock tells it, for what a function does by its own."""

    by = dt.timedelta()

    @classmethod
    def now(cls, tz: dt.tzinfo | None = None) -> Any:
        """The time of day."""
        return super().now(tz) + cls.by


def load(name: str) -> Handler:
    """Import the handler `module.function` ("a/b.f" means the module a.b).

    Raises:
        LambdaError: as the runtime names it when that cannot be done.
    """
    module_name, dot, function_name = name.rpartition(".")
    if not dot or not module_name:
        raise LambdaError("Runtime.MalformedHandlerName", f"Bad handler '{name}'")
    try:
        module = importlib.import_module(module_name.replace("/", "."))
    except ImportError as error:
        raise LambdaError(
            "Runtime.ImportModuleError", f"Unable to import module '{module_name}': {error}"
        ) from error
    except SyntaxError as error:
        raise LambdaError(
            "Runtime.UserCodeSyntaxError", f"Syntax error in module '{module_name}': {error}"
        ) from error
    if not hasattr(module, function_name):
        raise LambdaError(
            "Runtime.HandlerNotFound",
            f"Handler '{function_name}' missing on module '{module_name}'",
        )
    handler: Handler = getattr(module, function_name)
    return handler


def report(error: BaseException, request_id: str = "") -> dict[str, Any]:
    """An error as the payload of a failed invocation shows it."""
    own = isinstance(error, LambdaError)
    frames = [] if own else traceback.extract_tb(error.__traceback__)
    return {
        "errorMessage": str(error),
        "errorType": error.error_type if isinstance(error, LambdaError) else type(error).__name__,
        "requestId": request_id,
        "stackTrace": [
            line.replace(os.environ.get("LAMBDA_TASK_ROOT", "/var/task"), "/var/task")
            for line in traceback.format_list(frames)
            if f'"{__file__}"' not in line
        ],
    }


def answer(handler: Handler, request: dict[str, Any]) -> dict[str, Any]:
    """Run the handler once: `{"payload": ...}` or `{"error": ...}`."""
    request_id = request["id"]
    Ahead.by = dt.timedelta(seconds=request.get("ahead", 0.0))
    context = Context(request_id, request["arn"], request["deadline_ms"])
    try:
        result = handler(json.loads(request["event"]), context)
        return {"payload": _marshalled(result)}
    except SystemExit as error:
        message = f"RequestId: {request_id} Error: Runtime exited with error: exit status"
        code = error.code if isinstance(error.code, int) else 1 if error.code else 0
        return {
            "error": report(LambdaError("Runtime.ExitError", f"{message} {code}")),
            "exit": True,
        }
    except Exception as error:  # noqa: BLE001 - whatever the handler raises is its answer
        return {"error": report(error, request_id)}


def _marshalled(result: Any) -> str:
    try:
        return json.dumps(result, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise LambdaError("Runtime.MarshalError", f"Unable to marshal response: {error}") from error


def serve(handler_name: str, requests: TextIO, answers: TextIO, log: TextIO) -> None:
    """Load the handler, say how that went, then answer requests until there are no more.

    Args:
        handler_name: the function's `Handler`.
        requests: JSON lines `{"id", "arn", "deadline_ms", "ahead", "event"}`, event being JSON
            text.
        answers: gets a JSON line each; the first is `{"ready": true}` or `{"error": ...}`.
        log: gets the mark at the end of each answer's output.
    """
    lines = LogLines()
    logging.getLogger().addHandler(lines)
    try:
        handler = load(handler_name)
    except BaseException as error:  # noqa: BLE001 - a module may raise anything, SystemExit too
        _reply(answers, log, "init", {"error": report(error), "exit": True})
        return
    finally:
        sys.stdout.flush()
    _reply(answers, log, "init", {"ready": True})
    for line in requests:
        request = json.loads(line)
        lines.request_id = request["id"]
        reply = answer(handler, request)
        sys.stdout.flush()
        _reply(answers, log, request["id"], reply)
        if reply.get("exit"):
            return


def _reply(answers: TextIO, log: TextIO, request_id: str, reply: dict[str, Any]) -> None:
    log.write(f"\n{MARK}{request_id}\n")
    log.flush()
    answers.write(json.dumps(reply) + "\n")
    answers.flush()


def main() -> None:
    """Take over the pipes, put the function's folder first, serve."""
    root = os.environ["LAMBDA_TASK_ROOT"]
    requests = os.fdopen(os.dup(0), encoding="utf-8")
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    log = os.fdopen(os.dup(2), "w", encoding="utf-8")
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.dup2(2, 1)  # whatever is printed, by a child process too, is log
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(encoding="utf-8", line_buffering=True)  # type: ignore[union-attr]  # real streams here
    sys.path.insert(0, root)
    sys.meta_path.insert(0, Stranger("ctwatch", root))
    if os.environ.pop("_CTWATCH_TIME", ""):
        dt.datetime = Ahead  # type: ignore[misc]  # before the function imports it
    serve(os.environ["_HANDLER"], requests, answers, log)


_LONGEST = 8192
"""Bytes of a request, which may bring a path."""


def multiply(control: socket.socket) -> None:
    """Be the zygote until nobody is at the other end; in each process that it forks, a container.

    Args:
        control: brings "fork" with the three pipes of the new process, and gets its pid; or
            "poll", "kill" or "wait" with such a pid, and gets how that ended, or "" if it has not;
            or "compile" with the folder of one that is about to come.
    """
    interrupted, loaded = signal.signal(signal.SIGINT, signal.SIG_IGN), _load()
    living: set[int] = set()
    while (asked := socket.recv_fds(control, _LONGEST, 3))[0]:
        word, _, about = os.fsdecode(asked[0]).partition(" ")
        if word == "compile":
            said = _compile(Path(about))
        elif word != "fork":
            said = _tend(word, int(about), living)
        elif child := os.fork():
            living.add(child)
            said = str(child)
        else:
            control.close()
            signal.signal(signal.SIGINT, interrupted)
            become(asked[1], loaded)
            return
        control.sendall(f"{said}\n".encode())
        for pipe in asked[1]:
            os.close(pipe)
    for child in living:
        os.kill(child, signal.SIGKILL)


def _load() -> set[str]:
    """Load what is shipped; the names under which the function's own modules would be hidden."""
    own = set(sys.modules)
    for name in SHIPPED:
        importlib.import_module(name)
    _read_ahead(importlib.import_module("botocore.loaders"))
    gc.freeze()  # so that no collection touches what all share
    return {name.partition(".")[0] for name in sys.modules.keys() - own}


def _read_ahead(loaders: Any) -> None:
    """Read botocore's files of the service that our function asks, and keep them.

    botocore keeps them itself, and which there are, but only for the clients of one session.
    """
    kept, listed = functools.cache(loaders.JSONFileLoader().load_file), _listed_once(loaders.Loader)
    loaders.JSONFileLoader.load_file = lambda _, path: kept(path)
    loaders.Loader.list_available_services = listed
    loader = loaders.create_loader()
    for kind in ("service-2", "endpoint-rule-set-1"):
        loader.load_service_model("ssm", kind)
    for name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
        loader.load_data(name)


def _listed_once(loader: Any) -> Callable[[Any, str], list[str]]:
    """Let botocore list the services in its folders once for the same folders."""
    plain, known = loader.list_available_services, {}

    def listed(self: Any, type_name: str) -> list[str]:
        asked = type_name, *self.search_paths
        if asked not in known:
            known[asked] = plain(self, type_name)
        return list(known[asked])

    return listed


def _compile(folder: Path) -> str:
    """Compile a function's code beforehand, which takes a container longer than all it does.

    Nothing else may tell that it was: what a compiler would complain or warn of is left to it.
    """
    for file in filter(Path.is_file, folder.rglob("*.py")):
        kept = Path(importlib.util.cache_from_source(str(file)))
        if not kept.exists() and (bytecode := _bytecode(file.read_bytes())):
            kept.parent.mkdir(exist_ok=True)
            kept.write_bytes(bytecode)
    return ""


@functools.lru_cache(maxsize=256)
def _bytecode(source: bytes) -> bytes:
    """What Python keeps of a source and takes unchecked; b"" of one that is not in order.

    https://docs.python.org/3/reference/import.html#cached-bytecode-invalidation
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            code = compile(source, "", "exec", dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError, Warning):
            return b""
    unchecked, of = (1).to_bytes(4, "little"), importlib.util.source_hash(source)
    return importlib.util.MAGIC_NUMBER + unchecked + of + marshal.dumps(code)


def _tend(word: str, pid: int, living: set[int]) -> str:
    if word == "kill":
        os.kill(pid, signal.SIGKILL)
    ended, status = os.waitpid(pid, 0 if word == "wait" else os.WNOHANG)
    living.discard(ended)
    return str(os.waitstatus_to_exitcode(status)) if ended else ""


def become(pipes: Sequence[int], loaded: set[str]) -> None:
    """Make a container of a forked process; the first line of its input is its environment.

    One whose zip brings a module by the name of one that is loaded already starts anew. That can
    be, as nothing follows the first line until the container has said that it is ready.
    """
    for number, pipe in enumerate(pipes):
        os.dup2(pipe, number)
        os.close(pipe)
    with open(0, encoding="utf-8", closefd=False) as requests:
        environment = json.loads(requests.readline())
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()
    os.chdir(environment["LAMBDA_TASK_ROOT"])
    if loaded & {one.name.partition(".")[0] for one in Path().iterdir()}:
        os.execv(sys.executable, [sys.executable, "-I", __file__])  # noqa: S606 - there is no shell
    del sys.argv[1:]
    main()


if __name__ == "__main__":
    if sys.argv[1:]:
        multiply(socket.socket(fileno=int(sys.argv[1])))
    else:
        main()
