"""What the sandbox keeps in files is its user's alone, whatever the umask, and gone at the end."""

import os
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from ctwatch.bundle import bundle
from ctwatch.cli import main
from ctwatch.sandbox.containers import Container
from ctwatch.sandbox.server import Sandbox

CTWATCH = [sys.executable, "-c", "from ctwatch.cli import run; run()"]


@pytest.fixture
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.usefixtures("open_umask")
def test_mails_and_unpacked_functions_are_private_and_go_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("ctwatch.sandbox.containers.can_fork", lambda: False)
    with Sandbox() as sandbox:
        mail = sandbox.inbox.put_mail("me@example.com", "hello", "text").path
        container = Container(bundle(), {"_HANDLER": "main.handler"}, "stream")
        made = {one: stat.S_IMODE(one.stat().st_mode) for one in tmp_path.iterdir()}
        container.close()
        kinds = {one.name.rsplit("-", 1)[0] for one in made}
        assert kinds == {"ctwatch-sandbox", "ctwatch-function"}
        assert mail.parent in made
        assert stat.S_IMODE(mail.stat().st_mode) == 0o600
        assert {*made.values()} == {0o700}
    assert [*tmp_path.iterdir()] == []


@pytest.mark.usefixtures("open_umask")
def test_a_folder_that_was_named_is_made_private_and_stays(tmp_path: Path) -> None:
    folder = tmp_path / "mails"
    with Sandbox(folder=folder) as sandbox:
        sandbox.inbox.put_mail("me@example.com", "hello", "text")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert [stat.S_IMODE(one.stat().st_mode) for one in folder.iterdir()] == [0o600]


@pytest.mark.parametrize("what", ["dangling link", "link", "file", "folder"])
def test_init_writes_over_nothing_and_through_no_link(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], what: str
) -> None:
    config, other = tmp_path / "config.yaml", tmp_path / "other"
    if what == "link":
        other.write_text("theirs")
    if "link" in what:
        config.symlink_to(other)
    elif what == "file":
        config.write_text("theirs")
    else:
        config.mkdir()
    assert main(["init", "--defaults", "--config", str(config)]) == 1
    assert capsys.readouterr().err.startswith("Error: ")
    assert not other.exists() or other.read_text() == "theirs"
    assert not config.is_file() or config.read_text() == "theirs"


def test_the_config_that_init_writes_names_secrets_and_holds_none(tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    assert main(["init", "--defaults", "--config", str(config)]) == 0
    channels = yaml.safe_load(config.read_text("utf-8"))["channels"]
    assert [one["url"] for one in channels] == ["env:DISCORD_WEBHOOK_URL"]


def _as_in_a_terminal() -> None:
    """Hear what one who runs the tests in the background has been told to ignore."""
    for one in (signal.SIGINT, signal.SIGHUP):
        signal.signal(one, signal.SIG_DFL)


@pytest.mark.exhaustive
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("words", ["Make it so", "Strike, and prove"])
def test_a_demo_that_is_ended_leaves_nothing(tmp_path: Path, how: int, words: str) -> None:
    env = {**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"}
    with subprocess.Popen(
        [*CTWATCH, "demo"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=env,
        preexec_fn=_as_in_a_terminal,  # noqa: PLW1509 - sets signals, and nothing else
    ) as demo:
        assert demo.stdout
        assert any(words in line for line in demo.stdout)
        assert [*tmp_path.iterdir()]
        time.sleep(0.3)
        demo.send_signal(how)
        said = demo.stdout.read()
        assert demo.wait(20) == 130, said
    assert "Traceback" not in said
    assert [*tmp_path.iterdir()] == []
