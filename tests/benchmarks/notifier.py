"""The notifier's cold start: from its import to the first byte on the wire.

In the route `fanout` with `secret: env`, as Lambda would start it: the zip's files in a folder,
where nothing is ever compiled beforehand, in a Python that has imported nothing. Discord is a
listener on loopback.
"""

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from tempfile import TemporaryDirectory

from fake_discord import FakeDiscord
from measuring import Row, middle
from notifier_records import TRAIL, event, sns

from ctwatch.bundle import bundle

CPU, MEMORY = 60, 128

_COLD = """
import os, sys, time
folder, document = sys.argv[1:]
sys.path.insert(0, folder)
began = time.process_time()
from notifier.main import handler
imported = time.process_time() - began
import json, socket
send, first = socket.socket.sendall, []
def noted(self, *given):
    first.append(time.process_time() - began)
    return send(self, *given)
socket.socket.sendall = noted
class Context:
    aws_request_id = "cold"
    def get_remaining_time_in_millis(self):
        return 30_000
handler(json.loads(document), Context())
most = next(line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM"))
told = [imported, first[0], int(most) / 1024, "botocore" in sys.modules]
print(json.dumps(told), file=sys.stderr)
"""


def cold(folder: Path, url: str) -> list[float]:
    """Seconds of processor time for the import, and to the first byte; most memory in MB; boto3."""
    channel = {"name": "discord", "type": "discord", "secret": "env:DISCORD_WEBHOOK_URL"}
    environment = {
        "DISCORD_WEBHOOK_URL": url,
        "CTWATCH_WATCH": "ctwatch",
        "CTWATCH_TRAIL": TRAIL,
        "CTWATCH_LANGUAGE": "en",
        "CTWATCH_TIMEZONE": "Asia/Seoul",
        "CTWATCH_CHANNELS": json.dumps([channel]),
    }
    command = [sys.executable, "-I", "-B", "-c", _COLD, str(folder), json.dumps(sns(event()))]
    ran = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    if ran.returncode:
        sys.exit(ran.stderr)
    return json.loads(ran.stderr.splitlines()[-1])


def measure(rounds: int) -> list[Row]:
    """The table."""
    with TemporaryDirectory() as unpacked, FakeDiscord() as discord:
        zipfile.ZipFile(io.BytesIO(bundle())).extractall(unpacked)
        found = [cold(Path(unpacked), discord.url) for _ in range(2 * rounds)]
        assert len(discord.requests) == len(found)
    imported, first, memory, boto3 = (middle(one) for one in zip(*found, strict=True))
    return [
        Row("import: processor", f"{1000 * imported:.0f} ms"),
        Row(
            "import to the first byte: processor",
            f"{1000 * first:.0f} ms",
            bar=f"under {CPU} ms",
            met=1000 * first < CPU,
        ),
        Row(
            "most memory", f"{memory:.0f} MB", bar=f"{MEMORY} MB is enough", met=memory < MEMORY / 2
        ),
        Row("botocore", "imported" if boto3 else "not imported", bar="not imported", met=not boto3),
    ]
