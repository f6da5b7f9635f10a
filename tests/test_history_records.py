"""Log files of every shape: what may match is found, exactly; what cannot be read is told."""

import gzip
import json
import random
import time

import past
import pytest
from hypothesis import given
from hypothesis import strategies as st
from trials import trials

from ctwatch.detections import SAMPLE, catalogue
from ctwatch.history import questions, records
from ctwatch.history.events import event
from ctwatch.history.search import Search, Searcher
from ctwatch.patterns import compiled

EVERY = tuple(
    one
    for each in catalogue().values()
    for one in questions.of_detection(each, each.filled(SAMPLE))
)
STANDING = (
    questions.who_terminated("i-0abc"),
    questions.who_changed_security_group("sg-1"),
    questions.outside(["10.0.0.0/8", "203.0.113.0/24"]),
    questions.denied(),
    questions.denied("arn:aws:iam::123456789012:role/deploy"),
    questions.failed_logins(),
    questions.root(),
    questions.actor("arn:aws:iam::123456789012:role/ci", past.BEGIN, past.timedelta(days=1)),
    questions.one_event("e-1"),
    questions.stops(),
)


def slowly(asked, documents):
    """What the engine itself makes of records: (place of the question, id)."""
    return sorted(
        (at, json.dumps(one, sort_keys=True))
        for one in documents
        for at, question in enumerate(asked)
        if compiled(question.pattern).matches(event(one)) and question.admits(one)
    )


def quickly(asked, data):
    """The same by the sieve; of whole records, to tell them apart."""
    whole = tuple(questions.replace(one, whole=True) for one in asked)
    found = Searcher(Search(whole)).document("here", data)
    return sorted((one.question, json.dumps(one.record, sort_keys=True)) for one in found.findings)


def document(several):
    return json.dumps({"Records": several}).encode()


EXAMPLES = [
    one["detail"]
    for each in catalogue().values()
    for one in (*each.examples.fires, *each.examples.quiet)
    if isinstance(one.get("detail"), dict)
]


@pytest.mark.parametrize("asked", [EVERY, STANDING], ids=["catalogue", "standing"])
def test_it_agrees_with_the_engine_on_the_catalogues_own_examples(asked):
    assert quickly(asked, document(EXAMPLES)) == slowly(asked, EXAMPLES)


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.exhaustive)])
def test_it_agrees_on_records_of_everyday(count):
    several = list(past.records("everyday", count, rate=0.02))
    for number, one in enumerate(several):  # more of what is asked for than everyday has
        if number % 7 == 0:
            one["errorCode"] = random.Random(number).choice(["AccessDenied", "Client.Busy", ""])
    for asked in (EVERY, STANDING):
        found = slowly(asked, several)
        assert found
        assert quickly(asked, document(several)) == found


def compact(several):
    """As CloudTrail writes it."""
    return json.dumps({"Records": several}, separators=(",", ":")).encode()


NESTED = {
    "eventVersion": "1",
    "eventName": "StopLogging",
    "eventSource": "cloudtrail.amazonaws.com",
}


@pytest.mark.parametrize(
    "places", [[0], [99], [49], [50], [3, 96], [40, 41, 99], range(100)], ids=str
)
@pytest.mark.parametrize(
    "nested", [None, [{}, NESTED, NESTED], [[{"a": [{}, *[NESTED] * 50]}] * 9]]
)
def test_those_that_match_are_found_wherever_they_stand(places, nested):
    """Also where what lies within a record looks like the space between two of them."""
    several = list(past.records("places", 100, rate=0))
    for at, one in enumerate(several):
        one["eventName"] = "StopLogging" if at in places else one["eventName"]
        one["eventSource"] = "cloudtrail.amazonaws.com"
        one["requestParameters"] = {"name": f"{at}", "nested": nested}
    found = quickly((questions.stops(),), compact(several))
    assert found == slowly((questions.stops(),), several)
    assert len(found) == len(places)


@pytest.mark.parametrize("more", [b',"x":[{},%s]}', b',"Records":[%s]}'])
@pytest.mark.parametrize("first", [True, False])
def test_what_stands_beside_the_records_is_no_record(more, first):
    """Whatever is said twice, the last counts, as JSON's readers have it."""
    several = list(past.records("beside", 40, rate=0))
    several[30 if first else 2] |= NESTED
    data = compact(several)
    data = data[:-1] + more % compact([{**NESTED, "eventID": "x"}] * 40)[12:-2]
    right = json.loads(data)["Records"]
    assert quickly((questions.stops(),), data) == slowly((questions.stops(),), right)


# Values that hide from a test on text alone: other types, nothing, dots, lists of objects.
NAMES = ("StopLogging", "AssumeRole", "ConsoleLogin", "PutBucketPolicy", "TerminateInstances", "X")
TEXTS = st.sampled_from(
    (*NAMES, "Root", "AWSService", "AccessDenied", "203.0.113.7", "1.2.3.4", "::ffff:1.2.3.4", "")
)
SCALARS = st.one_of(TEXTS, st.none(), st.booleans(), st.integers(0, 3))
ANY = st.one_of(SCALARS, st.lists(SCALARS, max_size=2), st.dictionaries(TEXTS, SCALARS, max_size=1))


def mostly(usual, strange=ANY):
    return st.one_of(usual, usual, usual, strange)


IDENTITY = st.fixed_dictionaries(
    {},
    optional={
        "type": mostly(st.sampled_from(["Root", "IAMUser", "AssumedRole", "AWSService"])),
        "arn": mostly(st.sampled_from(["arn:aws:iam::123456789012:role/ci", "arn:x"])),
        "invokedBy": SCALARS,
        "sessionContext.sessionIssuer.arn": SCALARS,
    },
)
SOURCES = ("cloudtrail", "sts", "signin", "s3", "ec2", "x")
RECORD = st.fixed_dictionaries(
    {},
    optional={
        "eventSource": mostly(st.sampled_from([f"{one}.amazonaws.com" for one in SOURCES])),
        "eventName": mostly(st.sampled_from(NAMES)),
        "eventType": mostly(
            st.sampled_from(["AwsApiCall", "AwsConsoleSignIn", "AwsCloudTrailInsight"])
        ),
        "eventTime": mostly(st.just("2026-11-01T09:00:00Z")),
        "userIdentity": mostly(IDENTITY, st.one_of(ANY, st.lists(IDENTITY, max_size=2))),
        "userIdentity.type": TEXTS,
        "errorCode": SCALARS,
        "eventID": mostly(st.just("e-1")),
        "sourceIPAddress": mostly(TEXTS),
        "readOnly": SCALARS,
        "responseElements": st.just({"ConsoleLogin": "Failure"}),
        "insightDetails": st.just({"state": "Start"}),
        "requestParameters": st.one_of(
            st.none(), st.just({"bucketName": SAMPLE["bucket"]}), st.just({"instanceId": "i-0abc"})
        ),
    },
)


@pytest.mark.parametrize("asked", [EVERY, STANDING], ids=["catalogue", "standing"])
@trials(90)
@given(st.lists(RECORD, max_size=4))
def test_it_agrees_on_records_of_any_shape(asked, several):
    assert quickly(asked, document(several)) == slowly(asked, several)


@pytest.mark.exhaustive
@pytest.mark.parametrize("asked", [EVERY, STANDING], ids=["catalogue", "standing"])
@trials(2000)
@given(st.lists(RECORD, max_size=4))
def test_it_agrees_on_very_many_records_of_any_shape(asked, several):
    assert quickly(asked, document(several)) == slowly(asked, several)


NOBODY = questions.Question(
    "nobody", {"detail": {"eventName": ["X"], "errorCode": [{"exists": False}, None, "Bad"]}}
)
BAD = questions.Question("bad", {"detail": {"errorCode": ["Bad"]}})


@pytest.mark.parametrize(
    "one",
    [
        {"eventName": "X", "userIdentity.type": "Root"},
        {"eventName": "X", "userIdentity": {"type": "IAMUser"}, "userIdentity.type": "Root"},
        {"eventName": "X"},
        {"eventName": "X", "errorCode": None},
        {"eventName": "X", "errorCode": "Bad"},
        {"eventName": "X", "errorCode": ["Bad"]},
        {"eventName": "X", "errorCode": "Good"},
        {"eventName": ["Y", "X"], "errorCode": "Bad"},
    ],
    ids=str,
)
def test_it_agrees_on_each_way_past_a_first_test(one):
    asked = (questions.root(), NOBODY, BAD)
    several = [{"eventName": "Y"}, one, {"eventName": "Y"}]
    assert quickly(asked, document(several)) == slowly(asked, several)


# Files

STOP = {"eventName": "StopLogging", "eventSource": "cloudtrail.amazonaws.com", "eventTime": "2026"}
OTHER = {**STOP, "eventName": "GetTrail"}
ONE = json.dumps(STOP)
WRAPPED = json.dumps({"Records": [OTHER, STOP]}).encode()


def read(folder, name, content):
    """How often logging was stopped, how many records there are, and what is told of the file."""
    path = folder / name
    path.write_bytes(content)
    found = Searcher(Search((questions.stops(),))).files([path])
    told = {
        why: [one.rpartition("/")[2] for one in names] for why, names in found.seen.troubles.items()
    }
    return len(found.findings), found.seen.records, told


@pytest.fixture
def small(monkeypatch):
    """Takes an eighth of what it takes else, so that a file for it is soon made."""
    for name in ("MOST", "_BLOCK"):
        monkeypatch.setattr(records, name, getattr(records, name) // 8)


TWICE = gzip.compress(WRAPPED, mtime=0) * 2
LOOKED_UP = json.dumps({"Events": [{"EventId": "1", "CloudTrailEvent": ONE}]}).encode()
EVENT = json.dumps({"detail-type": "x", "source": "y", "detail": STOP}).encode()


@pytest.mark.parametrize(
    ("name", "content", "stops", "count"),
    [
        ("as CloudTrail writes it.json.gz", gzip.compress(WRAPPED, mtime=0), 1, 2),
        ("not zipped.json", WRAPPED, 1, 2),
        ("with a mark.json", b"\xef\xbb\xbf" + WRAPPED, 1, 2),
        ("spread.json", json.dumps({"Records": [STOP]}, indent=2).encode(), 1, 1),
        ("two in one.gz", gzip.compress(f"{ONE}\n".encode(), mtime=0) * 2, 2, 2),
        ("lines.jsonl", f"{ONE}\n\n{json.dumps(OTHER)}\r\n{ONE}\n".encode(), 2, 3),
        ("one.json", ONE.encode(), 1, 1),
        ("one, spread.json", json.dumps(STOP, indent=2).encode(), 1, 1),
        ("list.json", f"[{ONE}, {ONE}]".encode(), 2, 2),
        ("looked up.json", LOOKED_UP, 1, 1),
        ("looked up, by line.jsonl", json.dumps({"CloudTrailEvent": ONE}).encode(), 1, 1),
        ("events.jsonl", EVENT + b"\n" + EVENT, 2, 2),
        ("of a strange letter.json", WRAPPED.replace(b"2026", b"20\xff"), 1, 2),
        ("half a letter.json", WRAPPED.replace(b"StopL", b"\\ud800"), 0, 2),
        ("no number.json", WRAPPED.replace(b'"2026"', b"NaN"), 1, 2),
        ("none.json", b'{"Records": []}', 0, 0),
    ],
)
def test_a_file_is_read_in_whatever_form_it_is(tmp_path, name, content, stops, count):
    assert read(tmp_path, name, content) == (stops, count, {})


@pytest.mark.parametrize(
    ("name", "content", "stops", "why"),
    [
        ("cut.json.gz", gzip.compress(WRAPPED, mtime=0)[:-9], 0, records.CUT),
        ("empty.json.gz", b"", 0, records.CUT),
        ("broken.json.gz", gzip.compress(WRAPPED, mtime=0)[:-8] + bytes(8), 0, records.BROKEN),
        ("no gzip.json.gz", WRAPPED, 0, records.NOT_GZIP),
        ("no json.json", b"hello", 0, records.NOT_JSON),
        ("cut.json", WRAPPED[:-9], 0, records.NOT_JSON),
        ("a bad line.jsonl", f"{ONE}\n{ONE[:-4]}\n{ONE}".encode(), 2, records.ODD_LINES),
        ("digest.json.gz", gzip.compress(b'{"digestS3Object": "x"}', mtime=0), 0, records.DIGEST),
        ("else.json", b'{"name": "somebody"}', 0, records.STRANGE),
        ("number.json", b"5", 0, records.STRANGE),
        ("odd.json", b'{"Records": [5, %s, null]}' % ONE.encode(), 1, records.ODD_RECORDS),
        ("deep.json", b"[" * 100_000, 0, records.NOT_JSON),
    ],
)
def test_what_cannot_be_read_is_told_once_and_the_rest_goes_on(tmp_path, name, content, stops, why):
    found, _, told = read(tmp_path, name, content)
    assert (found, told) == (stops, {why: [name]})


def test_a_file_that_is_not_there_is_told(tmp_path):
    found = Searcher(Search(EVERY)).files([tmp_path / "gone.json"])
    assert list(found.seen.troubles) == ["could not be opened: No such file or directory"]


def test_a_file_that_would_fill_the_memory_is_refused_in_time(tmp_path, small):
    """Forty times what is taken, whatever it says of its own length."""
    bomb = gzip.compress(b" " * (1 << 20), 9) * 40 * (records.MOST >> 20)
    for name, content in (("true", bomb), ("lying", bomb[:-4] + b"\x01\0\0\0")):
        began = time.process_time()
        assert read(tmp_path, f"{name}.json.gz", content) == (
            0,
            0,
            {records.TOO_LARGE: [f"{name}.json.gz"]},
        )
        assert time.process_time() - began < 0.5


def test_a_long_file_of_lines_is_read_in_pieces(tmp_path, small):
    line = json.dumps({**STOP, "userAgent": "a" * 100_000}).encode() + b"\n"
    count = records.MOST // len(line) + 10
    path = tmp_path / "long.jsonl.gz"
    with gzip.open(path, "wb", 1) as file:
        for _ in range(count):
            file.write(line)
    found = Searcher(Search((questions.stops(),))).files([path])
    assert (len(found.findings), found.seen.records, found.seen.troubles) == (count, count, {})


def test_only_the_time_that_is_asked_for_counts():
    several = [{**STOP, "eventTime": f"2026-11-0{day}T00:00:00Z"} for day in (1, 2, 3)]
    several += [{**STOP, "eventTime": None}, {**STOP, "eventTime": 5}]
    search = Search((questions.stops(),), "2026-11-02T00:00:00Z", "2026-11-03T00:00:00Z")
    for data in (document(several[:3]), document(several)):
        found = Searcher(search).document("x", data)
        assert [one.time for one in found.findings] == ["2026-11-02T00:00:00Z"]
        assert (found.seen.first[:10], found.seen.last[:10]) == ("2026-11-01", "2026-11-03")


def test_records_are_counted_by_region_and_hour():
    several = [
        {**OTHER, "eventTime": f"2026-11-01T0{hour}:10:00Z", "awsRegion": "r"} for hour in (1, 1, 2)
    ]
    for more in ([], [{"eventName": 5}]):
        found = Searcher(Search((questions.stops(),), hours=True)).document(
            "x", document([*several, *more])
        )
        hours = {key: count for key, count in found.seen.hours.items() if key[0]}
        assert hours == {("r", "2026-11-01T01"): 2, ("r", "2026-11-01T02"): 1}


def test_what_is_no_record_of_cloudtrails_is_asked_for_by_no_record():
    [notice] = questions.of_detection(
        catalogue()["log-object-deletion"], catalogue()["log-object-deletion"].filled(SAMPLE)
    )
    assert Searcher(Search((notice,))).document("x", document(EXAMPLES)).findings == []
