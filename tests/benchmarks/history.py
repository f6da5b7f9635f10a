"""Searching log files with the whole catalogue, against inflating them and against other tools.

The limit is libdeflate alone on the same files by as many processes; the others look for the calls
of `trail-tampering` only. All in turns, on files that lie in memory's cache. A file for each 500
records, of about 1.4 KB each; every file's records differ.
"""

import gzip
import importlib
import json
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path

import deflate
from measuring import CTWATCH, Row, middle
from past import BEGIN, PER_FILE, key, records, zipped

from ctwatch.detections import SAMPLE, catalogue
from ctwatch.history.questions import of_detection
from ctwatch.history.search import Search, Searching

BAR, MEMORY = 2.5, 200
MANY = (20_000, 200_000)
TOLD = ("StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors")
CORES = 2
RATE = 0.0002
"""Of all records, those that the catalogue tells; a file that holds one is decoded once more."""
LIMIT, OURS = "inflated by libdeflate, the limit", "ctwatch, the whole catalogue"


def measure(rounds: int, many: Sequence[int] = MANY) -> list[Row]:
    """The table."""
    with tempfile.TemporaryDirectory() as folder:
        return [row for count in many for row in _rows(Path(folder), count, rounds)]


def _rows(folder: Path, count: int, rounds: int) -> list[Row]:
    files = write(folder / str(count), count)
    ways = dict(_ways(files, count))
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            began = time.perf_counter()
            way()
            taken[name].append(time.perf_counter() - began)
    return [
        *_table(count, {name: middle(each) for name, each in taken.items()}),
        _memory(files, count),
    ]


def _table(count: int, taken: dict[str, float]) -> list[Row]:
    return [_row(count, name, seconds, taken[LIMIT]) for name, seconds in taken.items()]


def _row(count: int, name: str, seconds: float, limit: float) -> Row:
    ratio, what = seconds / limit, f"{count:,} records: {name}"
    if name != OURS or count < max(MANY):  # where there are few, the start is most of it
        return Row(what, f"{seconds:.2f} s", ratio=ratio)
    bar = f"at most {BAR} times the limit"
    return Row(what, f"{seconds:.2f} s", ratio=ratio, bar=bar, met=ratio <= BAR)


def _ways(files: Sequence[Path], count: int) -> list[tuple[str, Callable[[], None]]]:
    ways = [
        (LIMIT, partial(_parted, _inflate, files)),
        (OURS, partial(_ours, files, count)),
    ]
    if find_spec("orjson"):
        ways.append(("zlib and orjson, one core", partial(_orjson, files)))
    ways.append(("zlib and json, one core", partial(_json, files)))
    if shutil.which("jq"):
        ways.append(("zcat | jq", partial(_jq, files[0].parent)))
    if find_spec("duckdb"):
        ways.append(("DuckDB's read_json", partial(_duckdb, files[0].parent)))
    return ways


def write(folder: Path, count: int) -> list[Path]:
    """So many records in files."""
    folder.mkdir()
    files = []
    for number in range(0, count, PER_FILE):
        at = BEGIN + timedelta(seconds=2 * number)
        path = folder / Path(key(at, "us-east-1", f"{number}")).name
        several = records(number, min(PER_FILE, count - number), at, rate=RATE)
        path.write_bytes(zipped(several))
        files.append(path)
    return files


def _parted(do: Callable[[Sequence[Path]], None], files: Sequence[Path]) -> None:
    """The same work by as many processes as there are cores."""
    with ProcessPoolExecutor(CORES, mp_context=get_context("fork")) as pool:
        parcels = [files[at : at + 20] for at in range(0, len(files), 20)]
        list(pool.map(do, parcels))


def _inflate(files: Sequence[Path]) -> None:
    for one in files:
        deflate.gzip_decompress(one.read_bytes())


def _ours(files: Sequence[Path], count: int) -> None:
    every = catalogue().values()
    asked = tuple(one for each in every for one in of_detection(each, each.filled(SAMPLE)))
    size = sum(one.stat().st_size for one in files)
    with Searching(Search(asked), size, CORES) as searching:
        seen = sum(found.seen.records for found in searching.through(files))
    assert seen == count


def _json(files: Sequence[Path]) -> None:
    for one in files:
        read = json.loads(gzip.decompress(one.read_bytes()))["Records"]
        [each for each in read if each["eventName"] in TOLD]


def _orjson(files: Sequence[Path]) -> None:
    orjson = importlib.import_module("orjson")
    for one in files:
        read = orjson.loads(gzip.decompress(one.read_bytes()))["Records"]
        [each for each in read if each["eventName"] in TOLD]


def _jq(folder: Path) -> None:
    names = ",".join(f'"{one}"' for one in TOLD)
    script = f"zcat {folder}/*.json.gz | jq -c '.Records[] | select(.eventName | IN({names}))'"
    subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL)


def _duckdb(folder: Path) -> None:
    duckdb = importlib.import_module("duckdb")
    names = ",".join(f"'{one}'" for one in TOLD)
    columns = "{Records: 'STRUCT(eventName VARCHAR, eventTime VARCHAR)[]'}"
    read = f"read_json('{folder}/*.json.gz', columns={columns}, maximum_object_size=100000000)"
    asked = f"select one.eventName from (select unnest(Records) as one from {read})"
    duckdb.sql(f"{asked} where one.eventName in ({names})").fetchall()


def _memory(files: Sequence[Path], count: int) -> Row:
    """The most memory that the command and its processes hold together, what they share once."""
    most = max(_held([CTWATCH, "history", "--from", str(files[0].parent)]), default=0)
    megabytes = most / 1024
    what = f"{count:,} records: the command's memory, all processes together"
    return Row(what, f"{megabytes:.0f} MiB", bar=f"under {MEMORY} MiB", met=megabytes < MEMORY)


def _held(command: Sequence[str]) -> Iterator[int]:
    """The KiB that a command holds from moment to moment."""
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as running:
        while running.poll() is None:
            yield sum(
                _share(place)
                for place in Path("/proc").glob("[0-9]*")
                if _is_of(place, running.pid)
            )
            time.sleep(0.02)


def _is_of(place: Path, group: int) -> bool:
    try:
        return (place / "stat").read_text().rpartition(")")[2].split()[2] == str(group)
    except OSError:
        return False


def _share(place: Path) -> int:
    """https://docs.kernel.org/filesystems/proc.html: Pss, what it holds alone and its share."""
    try:
        text = (place / "smaps_rollup").read_text()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")), 0)
