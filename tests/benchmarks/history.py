"""Searching log files with the whole catalogue, against inflating them and against other tools.

The limit is libdeflate alone on the same files by as many processes. The peers look for the calls
of `trail-tampering` only, as each would be used for that: typed partial decoding by msgspec on all
cores, orjson and json on one, `zcat | jq`, DuckDB over the files. All in turns, on files that lie
in memory's cache. A file for each 500 records, of about 1.4 KB each; every file's records differ.
Beyond a million records each file is read several times, under several names.
"""

import gzip
import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import deflate
import duckdb
import msgspec
import orjson
from measuring import CTWATCH, Row, alternately, at_most, middle, timed
from past import BEGIN, PER_FILE, key, records, zipped

from ctwatch.detections import SAMPLE, catalogue
from ctwatch.history.questions import of_detection
from ctwatch.history.search import Search, Searching

BAR, MEMORY = 2.5, 200
SIZES = (10_000, 100_000, 1_000_000, 10_000_000)
MOST_WRITTEN = 1_000_000
TOLD = frozenset({"StopLogging", "DeleteTrail", "UpdateTrail", "PutEventSelectors"})
CORES = 2
RATE, OFTEN = 0.0002, 0.001
"""Of all records, those that the catalogue tells: in a tenth of the files, and in four tenths.

A file that holds one is decoded once more, as far as that record is from its nearer end.
"""
SOME = 100_000
"""Records of which the start is no longer most of the work; the bar is for `MOST_WRITTEN`."""
LINEAR = 1.25
LIMIT, OURS = "inflated by libdeflate, the limit", "ctwatch, the whole catalogue"


def measure(rounds: int, most: int = MOST_WRITTEN) -> list[Row]:
    """The table, for up to so many records."""
    with tempfile.TemporaryDirectory() as folder:
        written = write(Path(folder, "files"), min(most, MOST_WRITTEN), RATE)
        rows, spent = [], {}
        for count in [one for one in SIZES if one <= most]:
            files = _several(written, count, Path(folder, f"{count}"))
            peers = count == max(one for one in SIZES if one <= len(written) * PER_FILE)
            taken = _taken(dict(_ways(files, count, peers=peers)), rounds)
            rows += [*_table(count, taken), _memory(files, count)]
            spent[count] = taken[OURS] / count
        often = write(Path(folder, "often"), min(most, MOST_WRITTEN), OFTEN)
        return [*rows, *_linear(spent), *_often(often, rounds)]


def _taken(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, float]:
    """The median of what each takes, in turns."""
    runs = alternately(rounds, *(partial(timed, one) for one in ways.values()))
    return dict(zip(ways, map(middle, runs), strict=True))


def _table(count: int, taken: dict[str, float]) -> list[Row]:
    return [_row(f"{count:,} records", one, taken, count) for one in taken]


def _row(what: str, name: str, taken: dict[str, float], count: int) -> Row:
    ratio, said = taken[name] / taken[LIMIT], f"{what}: {name}"
    value = f"{taken[name]:.2f} s"
    if name != OURS or count < MOST_WRITTEN:
        return Row(said, value, ratio=ratio)
    bar = f"at most {BAR} times the limit"
    return Row(said, value, ratio=ratio, bar=bar, met=ratio <= BAR)


def _often(files: Sequence[Path], rounds: int) -> list[Row]:
    count = len(files) * PER_FILE
    taken = _taken(dict(_ways(files, count, peers=False)), rounds)
    return [_row(f"{count:,} records, four tenths of the files told of", OURS, taken, count)]


def _linear(spent: dict[int, float]) -> list[Row]:
    """Whether a record of many takes as long as one of few."""
    counts = [one for one in spent if one >= SOME]
    if len(counts) < 2:
        return []
    first, last = counts[0], counts[-1]
    what = f"a record of {last:,} against one of {first:,}"
    return [at_most(what, f"{spent[last] * 1e6:.2f} µs", spent[last] / spent[first], LINEAR)]


def _ways(
    files: Sequence[Path], count: int, *, peers: bool
) -> Iterator[tuple[str, Callable[[], None]]]:
    yield LIMIT, partial(_parted, _inflate, files)
    yield OURS, partial(_ours, files, count)
    if peers:
        yield "typed partial decoding, all cores", partial(_parted, _typed, files)
        yield "zlib and orjson, one core", partial(_orjson, files)
        yield "zlib and json, one core", partial(_json, files)
        yield "DuckDB's read_json, all cores", partial(_duckdb, files[0].parent)
    if peers and shutil.which("jq"):
        yield "zcat and jq", partial(_jq, files[0].parent)


def write(folder: Path, count: int, rate: float) -> list[Path]:
    """So many records in files."""
    folder.mkdir()
    with ProcessPoolExecutor(CORES) as pool:
        writing = partial(_write, folder, count, rate)
        return list(pool.map(writing, range(0, count, PER_FILE), chunksize=8))


def _write(folder: Path, count: int, rate: float, number: int) -> Path:
    at = BEGIN + timedelta(seconds=2 * number)
    path = folder / Path(key(at, "us-east-1", f"{number}")).name
    several = records(number, min(PER_FILE, count - number), at, rate=rate)
    path.write_bytes(zipped(several))
    return path


def _several(written: Sequence[Path], count: int, folder: Path) -> list[Path]:
    """Files of so many records, in a folder of their own: some of these, or each several times."""
    folder.mkdir()
    times = -(-count // (len(written) * PER_FILE))
    some = written[: count // PER_FILE]
    for turn in range(times):
        for one in some:
            head, _, tail = one.name.rpartition("_")
            os.link(one, folder / f"{head}_{turn}{tail}")
    return sorted(folder.iterdir())


def _parted(do: Callable[[Sequence[Path]], None], files: Sequence[Path]) -> None:
    """The same work by as many processes as there are cores."""
    with ProcessPoolExecutor(CORES, mp_context=get_context("fork")) as pool:
        parcels = [files[at : at + 20] for at in range(0, len(files), 20)]
        list(pool.map(do, parcels))


def _inflate(files: Sequence[Path]) -> None:
    for one in files:
        deflate.gzip_decompress(one.read_bytes())


class _Record(msgspec.Struct):
    eventName: str  # noqa: N815 - as CloudTrail calls it


class _Batch(msgspec.Struct):
    Records: list[_Record]


def _typed(files: Sequence[Path]) -> None:
    decoder = msgspec.json.Decoder(_Batch)
    for one in files:
        read = decoder.decode(deflate.gzip_decompress(one.read_bytes())).Records
        [each for each in read if each.eventName in TOLD]


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
    for one in files:
        read = orjson.loads(gzip.decompress(one.read_bytes()))["Records"]
        [each for each in read if each["eventName"] in TOLD]


def _jq(folder: Path) -> None:
    names = ",".join(f'"{one}"' for one in TOLD)
    script = f"zcat {folder}/*.json.gz | jq -c '.Records[] | select(.eventName | IN({names}))'"
    subprocess.run(["sh", "-c", script], check=True, stdout=subprocess.DEVNULL)


def _duckdb(folder: Path) -> None:
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
