"""How long `ctwatch down --delete-logs` takes for a hundred thousand versions.

Beside it stands what cannot be saved: the same DeleteObjects calls, as many side by side, with
every batch known beforehand. The sandbox runs in a process of its own and answers in slow motion:
`LIST` and `DELETE` are five times what a page of a thousand takes S3, so that it is the order of
the calls that is measured and not this machine. The most memory that the command took is told for
a third of the versions, too: it must hardly grow with them.

The keys are those of a trail of all regions: most log files in one of them, digest files in each.
"""

import multiprocessing
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import boto3
from away import led, written
from botocore.config import Config
from measuring import Row, at_most, memory, timed
from moto.s3.models import s3_backends

from ctwatch.emptying import DELETERS
from ctwatch.engine import build, inspect
from ctwatch.opening import Choice, opened
from ctwatch.sandbox.server import Sandbox

LIST, DELETE = 1.0, 4.0
BUCKET = "s3-cloudtrail-monitor-123456789012-ap-northeast-2-an"
REGIONS = [f"region-{number}" for number in range(17)]
CONFIG = {"topic": {"emails": ["security@example.com"]}, "channels": []}
VERSIONS = 100_000
TIME, MEMORY = 1.2, 1.2


def serve(pipe: Connection) -> None:
    """Run a sandbox; fill the bucket anew for each number that is asked for."""
    with Sandbox() as sandbox:
        answer = sandbox._serve
        sandbox._serve = lambda request, *rest: answer(_slowly(request), *rest)
        pipe.send((sandbox.env(), sandbox.unset()))
        while versions := pipe.recv():
            s3 = s3_backends[sandbox.account]["aws"]
            for key in keys(versions):
                s3.put_object(BUCKET, key, b"x")
            pipe.send(None)


def keys(versions: int) -> Iterator[str]:
    """The keys of so many log and digest files."""
    for number in range(versions):
        home, region = REGIONS[0], REGIONS[number % len(REGIONS)]
        kind, where = ("CloudTrail", home) if number % 2 else ("CloudTrail-Digest", region)
        day = f"{number % 28 + 1:02}"
        yield f"AWSLogs/123456789012/{kind}/{where}/2026/11/{day}/{number:09}.json.gz"


def _slowly(request: Any) -> Any:
    time.sleep({"ListObjectVersions": LIST, "DeleteObjects": DELETE}.get(request.call.operation, 0))
    return request


def bare(versions: int) -> float:
    """Seconds that the DeleteObjects calls take when all is known beforehand."""
    s3 = boto3.client("s3", config=Config(max_pool_connections=DELETERS))
    pages = s3.get_paginator("list_object_versions").paginate(Bucket=BUCKET)
    batches = [
        [{"Key": one["Key"], "VersionId": one["VersionId"]} for one in page["Versions"]]
        for page in pages
    ]
    assert sum(map(len, batches)) == versions

    def delete(batch: Any) -> None:
        s3.delete_objects(Bucket=BUCKET, Delete={"Objects": batch, "Quiet": True})

    with ThreadPoolExecutor(DELETERS) as pool:
        return timed(lambda: list(pool.map(delete, batches)))


def down(config: Path) -> tuple[float, float]:
    """Seconds that the emptying itself takes in the command, and its process's most memory."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_down, (config,))


def _down(config: Path) -> tuple[float, float]:
    here = opened(Choice(config))
    taken = timed(lambda: here.watch.bucket.delete(here.aws))
    return taken, memory()


def make_bucket(config: Path) -> None:
    """Make the watch's bucket, and nothing else."""
    here = opened(Choice(config))
    list(build(inspect([here.watch.bucket], here.aws), here.aws))


def measure(rounds: int) -> list[Row]:
    """The table; both once, as a round takes minutes, and the command with a third of it."""
    del rounds
    ours, theirs = multiprocessing.Pipe()
    server = multiprocessing.get_context("spawn").Process(target=serve, args=(theirs,))
    server.start()

    def fill(many: int) -> None:
        ours.send(many)
        ours.recv()

    with led(*ours.recv()), written(CONFIG) as config:
        make_bucket(config)
        fill(VERSIONS)
        floor = bare(VERSIONS)
        fill(VERSIONS)
        taken, more = down(config)
        make_bucket(config)
        fill(VERSIONS // 3)
        _, less = down(config)
    ours.send(0)
    server.join()
    return [
        Row(f"DeleteObjects of {VERSIONS:,} versions, in slow motion", f"{floor:.1f} s"),
        at_most("- all of it", f"{taken:.1f} s", taken / floor, TIME),
        Row("most memory with a third of the versions", f"{less:.0f} MB"),
        at_most("- with all", f"{more:.0f} MB", more / less, MEMORY),
    ]
