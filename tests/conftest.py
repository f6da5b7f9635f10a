"""The world that the tests run in: the sandbox of the demo, one per test file, empty per test."""

import gc
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import coverage
import pytest
import yaml
from botocore.session import Session
from browser import BROWSER, WITHOUT
from hypothesis import HealthCheck, settings
from shared_clients import lead, past_sockets, sharing
from unmeasured import look_away

from ctwatch.cli import main
from ctwatch.demo import confirmation_link, follow
from ctwatch.opening import Choice, Opened, opened
from ctwatch.sandbox import sandbox_class
from ctwatch.sandbox.server import Sandbox

ADDRESS = "security@example.com"

# How fast a machine is, is not what is tested. `.ci/run` tries three times as many examples.
for name, many in (("ordinary", 33), ("thorough", 100)):
    settings.register_profile(
        name, deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=many
    )
settings.load_profile("ordinary")
pytest.register_assert_rewrite("sabotage", "watch_world")  # their assertions are tests' own

CONFIG: dict[str, Any] = {
    "topic": {"emails": [ADDRESS]},
    "channels": [{"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}],
    "alerts": {"language": "en"},
}


SLOWEST = (
    *("routes", "simulate", "strays", "guard", "cli", "sandbox_command", "striking", "channels"),
    *("sabotage", "laws", "demo", "techniques", "delete_logs", "policy"),
    *("silence", "options", "sabotage_options", "sandbox_delivery_functions", "existing", "proof"),
    *("examples", "detections", "preflight", "listening", "patterns", "diagnose"),
)


# Where one case after another tries the same at the next point, the ordinary run takes every n-th,
# and `pytest -m exhaustive` all others.
EVERY_NTH = {
    "guard.py::test_whatever_is_cut_is_told_by_the_way_that_is_left": 12,
    "guard.py::test_whatever_loses_its_tag_looks_foreign_and_that_is_told": 3,
    "laws.py::test_a_strangers_thing_is_not_taken_for_ours": 4,
    "laws.py::test_a_strangers_thing_is_not_written_by_up_nor_by_down": 3,
    "laws.py::test_at_first_everything_is_absent": 3,
    "laws.py::test_one_up_is_enough_after_one_that_was_killed": 3,
    "listening.py::test_either_end_cut_is_deaf_and_up_mends_it": 4,
    "channels.py::test_a_channel_that_fails_keeps_back_no_other_and_the_retry_tells_it_alone": 3,
    "channels.py::test_one_channel_of_any_type_may_stand_in_the_function_s_environment": 4,
    "one_action_less.py::test_one_action_less_is_told_with_its_resource": 2,
    "sabotage.py::test_a_sabotage_shows_where_it_is_means_what_it_says_and_mends": 3,
    "sabotage.py::test_status_names_each_path_and_up_mends_and_names_it": 4,
    "silence.py::test_a_silent_drill_says_what_aws_knows_of_it": 2,
    "strays.py::test_down_leaves_nothing_of_a_watch_that_was_half_built": 3,
    "sabotage_options.py::test_a_sabotage_shows_where_it_is_means_what_it_says_and_mends": 4,
    "striking.py::test_a_canary_is_made_struck_and_deleted_and_the_own_trail_is_left_alone": 4,
    "striking.py::test_a_canary_that_was_left_over_is_found_and_removed": 4,
    "striking.py::test_the_own_trail_is_struck_mended_and_heard": 3,
    "striking.py::test_what_cannot_be_mended_is_the_last_thing_said": 3,
    "techniques.py::test_a_call_that_could_is_caught": 4,
    "techniques.py::test_no_probe_could_change_anything_real": 4,
    "webhooks.py::test_one_that_is_gone_or_leads_elsewhere_is_mute": 2,
}


def pytest_configure() -> None:
    look_away()
    # What tests start as a process of its own, and each worker, would compile all of ours anew.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    gc.set_threshold(20_000, 20, 50)  # botocore's and moto's models make each collection long


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Thin out; and what takes longest comes first, so that no worker is left alone with it."""
    _thin_out(items)
    order = {f"test_{name}": place for place, name in enumerate(SLOWEST)}
    items.sort(key=lambda item: order.get(item.path.stem, len(order)))


def _thin_out(items: list[pytest.Item]) -> None:
    """Mark all but every n-th of what EVERY_NTH names."""
    met: Counter[str] = Counter()
    for item in items:
        name = item.nodeid.partition("[")[0].rpartition("/test_")[2]
        if name in EVERY_NTH and not item.get_closest_marker("exhaustive"):
            if met[name] % EVERY_NTH[name]:
                item.add_marker(pytest.mark.exhaustive)
            met[name] += 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say what was not there to be tried."""
    if BROWSER is None:
        terminalreporter.write_line(WITHOUT, yellow=True)
    if shutil.which("aws") is None:
        said = "The aws command was not tried: it is not on the PATH; boto3 did what it would do."
        terminalreporter.write_line(said, yellow=True)


def pytest_collection_finish() -> None:
    """What is imported by now stays, and is looked through by no garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_unconfigure() -> None:
    """Look through everything once, and not again when pytest does: that takes seconds."""
    gc.collect()
    gc.freeze()


@pytest.fixture
def unmeasured() -> Iterator[None]:
    """Coverage rests during this test (pytest-cov's own marker is at a loss with --no-cov)."""
    measuring = coverage.Coverage.current()
    if measuring:
        measuring.stop()
    yield
    if measuring:
        measuring.start()


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with sandbox_class()() as sandbox:
        yield sandbox
    _keep_what_is_loaded()


@cache
def _keep_what_is_loaded() -> None:
    """Nor is what moto and botocore have loaded for the first sandbox."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="module")
def session(running: Sandbox) -> type[Session]:
    """What makes the clients of ctwatch in a module's tests."""
    return sharing(past_sockets(running))


@pytest.fixture
def sandbox(running: Sandbox, session: type[Session], monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """An empty account that this process's AWS clients are led to, and to nothing else."""
    running.reset()
    for name in [*running.unset(), "NO_COLOR", "FORCE_COLOR", "CTWATCH_CONFIG"]:
        monkeypatch.delenv(name, raising=False)
    for name, value in {**running.env(), "COLUMNS": "100", "LANG": "C.UTF-8"}.items():
        monkeypatch.setenv(name, value)
    lead(monkeypatch, session)
    return running


@pytest.fixture
def config_file(tmp_path: Path) -> Path:
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
    return path


@pytest.fixture
def open_watch(sandbox: Sandbox, config_file: Path) -> Callable[[], Opened]:
    """Opens the watch of the config file anew."""
    return lambda: opened(Choice(config_file), need_secrets=True)


@dataclass(frozen=True)
class Ran:
    """A command that ran: its exit code, and what it printed."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(
    sandbox: Sandbox, config_file: Path, capsys: pytest.CaptureFixture[str]
) -> Callable[..., Ran]:
    """Runs a ctwatch command with the config file, as a user would."""

    def run_command(*arguments: str, config: bool = True) -> Ran:
        capsys.readouterr()
        code = main([*arguments, *(["--config", str(config_file)] if config else [])])
        printed = capsys.readouterr()
        return Ran(code, printed.out, printed.err)

    return run_command


@pytest.fixture
def click_the_link(sandbox: Sandbox) -> Callable[[], None]:
    """Does what a person does with the newest confirmation mail."""

    def click() -> None:
        assert sandbox.idle()
        mails = [one for one in sandbox.inbox.mails if "/confirm?" in one.text]
        follow(confirmation_link(mails[-1]))

    return click


@pytest.fixture
def armed(run: Callable[..., Ran], click_the_link: Callable[[], None]) -> None:
    """A watch that is up, with its mail confirmed."""
    assert run("up").code == 0
    click_the_link()
    assert run("status").code == 0
