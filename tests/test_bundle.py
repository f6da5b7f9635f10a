"""The zip that Lambda gets."""

import ast
import base64
import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from fake_discord import FakeDiscord
from notifier_records import TRAIL, event, sns

from ctwatch import bundle as module
from ctwatch.bundle import bundle, code_sha256

SOURCE = Path(module.__file__).parent / "notifier"


def entries(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return archive.infolist()


def test_the_zip_holds_the_notifier_and_nothing_else():
    names = [entry.filename for entry in entries(bundle())]
    assert names == sorted(f"notifier/{path.name}" for path in SOURCE.glob("*.py"))
    assert "notifier/main.py" in names


def test_nothing_of_this_machine_shows_in_the_zip():
    for entry in entries(bundle()):
        assert entry.date_time == (1980, 1, 1, 0, 0, 0)
        assert entry.create_system == 3
        assert entry.external_attr == 0o100644 << 16
        assert entry.compress_type == zipfile.ZIP_STORED


@pytest.fixture
def copy(tmp_path):
    return Path(shutil.copytree(SOURCE, tmp_path / "notifier"))


def test_times_modes_caches_and_line_ends_make_no_difference(copy):
    (copy / "__pycache__").mkdir(exist_ok=True)
    (copy / "__pycache__" / "main.cpython-313.pyc").write_bytes(b"x")
    (copy / "notes.txt").write_text("x")
    for path in copy.glob("*.py"):
        path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
        path.chmod(0o600)
        os.utime(path, (0, 0))
    assert bundle(copy) == bundle()


def test_windows_makes_the_same_zip(monkeypatch):
    here = bundle()
    monkeypatch.setattr("sys.platform", "win32")
    assert bundle() == here


def imports(path):
    """The top-level modules a file imports anywhere in it; its own package is left out."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            yield str(node.module).partition(".")[0]


def test_no_line_imports_more_than_the_standard_library_and_the_runtimes_boto3():
    imported = {name for path in SOURCE.glob("*.py") for name in imports(path)}
    assert imported - set(sys.stdlib_module_names) == {"botocore"}


def test_a_changed_source_changes_the_code(copy):
    (copy / "main.py").write_text("def handler(event, context): pass\n")
    assert code_sha256(bundle(copy)) != code_sha256(bundle())


def test_the_code_is_known_by_the_hash_that_lambda_tells():
    expected = base64.b64encode(hashlib.sha256(b"zip").digest()).decode()
    assert code_sha256(b"zip") == expected


RUN = """
import importlib, json, sys
sys.path.insert(0, sys.argv[1])
module, _, name = sys.argv[2].rpartition(".")
answer = getattr(importlib.import_module(module), name)(json.load(sys.stdin), None)
strangers = {each.partition(".")[0] for each in sys.modules} - set(sys.stdlib_module_names)
print(json.dumps([answer, sorted(strangers - {"__main__", "notifier"})]))
"""


def test_the_zip_runs_alone_on_nothing_but_the_standard_library(tmp_path):
    archive = tmp_path / "function.zip"
    mine = {"id": "mine", "ko": "내 것", "en": "Mine", "severity": "high", "mitre": ""}
    patterns = [{"detail": {"eventSource": ["cloudtrail.amazonaws.com"]}}]
    archive.write_bytes(bundle(custom=json.dumps([{**mine, "patterns": patterns}])))
    channel = {"name": "discord", "type": "discord", "secret": "env:DISCORD_WEBHOOK_URL"}
    with FakeDiscord() as discord:
        environment = {
            "CTWATCH_WATCH": "ctwatch",
            "CTWATCH_TRAIL": TRAIL,
            "CTWATCH_LANGUAGE": "ko",
            "CTWATCH_TIMEZONE": "Asia/Seoul",
            "CTWATCH_CHANNELS": json.dumps([channel]),
            "DISCORD_WEBHOOK_URL": discord.url,
        }
        # -I: no environment, no user site, not this folder; -S: no site-packages either.
        ran = subprocess.run(
            [sys.executable, "-I", "-S", "-c", RUN, str(archive), "notifier.main.handler"],
            input=json.dumps(sns(event())),
            env=environment,
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
    assert ran.stderr == ""
    line, result = map(json.loads, ran.stdout.splitlines())
    assert line["ctwatch"] == "delivered"
    assert result == [{"delivered": 1, "duplicates": 0}, []]
    assert "우리 추적" in discord.requests[0].body["content"]
    assert "내 것: " in discord.requests[0].body["embeds"][0]["title"]
