"""How long an event of the sandbox's takes from StopLogging to Discord.

Run it by itself: python tests/benchmarks/sandbox.py [ROUNDS]

Prints the first (cold) and the median, in milliseconds, from the moment the call is made to the
moment the Discord stand-in has the message. No test: machines are noisy.
"""

import os
import statistics
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

import boto3
import yaml
from botocore.exceptions import ClientError

from ctwatch.cli import main
from ctwatch.demo import leading_to
from ctwatch.sandbox import sandbox_class

CONFIG = {
    "channels": [{"type": "discord", "url": "env:DISCORD_WEBHOOK_URL"}],
    "topic": {"emails": []},
}


def measure(rounds: int) -> list[float]:
    """Milliseconds of each round; the first starts the function."""
    with sandbox_class()() as sandbox, leading_to(sandbox), tempfile.TemporaryDirectory() as folder:
        config = Path(folder, "config.yaml")
        config.write_text(yaml.safe_dump(CONFIG), encoding="utf-8")
        if main(["up", "-q", "--config", str(config)]) != 0:
            sys.exit("the watch did not go up")
        cloudtrail = boto3.client("cloudtrail", region_name=os.environ["AWS_REGION"])
        taken = []
        for number in range(1, rounds + 1):
            began = time.perf_counter()
            with suppress(ClientError):
                cloudtrail.stop_logging(Name=f"ctwatch-probe-{number}")
            if not sandbox.inbox.wait_for(lambda box, n=number: len(box.posts) >= n, 10):
                sys.exit(f"round {number}: nothing arrived")
            taken.append(1000 * (time.perf_counter() - began))
            sandbox.idle()
    return taken


if __name__ == "__main__":
    times = measure(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
    print(f"cold {times[0]:.0f} ms, then median {statistics.median(times[1:]):.0f} ms")  # noqa: T201
