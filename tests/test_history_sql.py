import itertools
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlglot
from agreeing import NUMBERS, SOURCES, WORDS, Dice, Table

from ctwatch import patterns
from ctwatch.detections import SAMPLE, catalogue
from ctwatch.history import events, questions, sql, statements, table
from ctwatch.history.questions import Between, Outside, Question, Within, Written
from ctwatch.history.search import Search, Searcher
from ctwatch.history.statements import Scope
from ctwatch.history.tally import Rows

NOVEMBER = Scope(
    "logs", datetime(2026, 11, 1, tzinfo=UTC), datetime(2026, 12, 1, tzinfo=UTC), ("eu-west-1",)
)
PARTS = [
    pytest.param(name, part, id=f"{name}-{part.name}".rstrip("-"))
    for name, one in catalogue().items()
    for part in one.filled(SAMPLE)
]
LITERAL = re.compile(r"(?:U&)?'(?:[^']|'')*'")


@pytest.fixture(scope="module")
def examples():
    """The records of all examples, those that must fire and the near misses."""
    return Table(
        [
            event["detail"]
            for one in catalogue().values()
            for event in (*one.fires_on(SAMPLE), *one.examples.quiet)
            if "eventType" in event["detail"]
        ]
    )


@pytest.fixture(scope="module")
def anything():
    """Records of CloudTrail's shape that hold anything."""
    dice = Dice(7)
    return Table([dice.record() for _ in range(120)])


def test_a_row_gives_the_record_that_it_was():
    dice = Dice(3)
    records = [dice.record() for _ in range(100)]
    assert [_without_empty(one) for one in Table(records).records] == [
        _without_empty(one) for one in records
    ]


def _without_empty(record):
    """Without nulls in resources and the like, of which a table keeps no difference to none."""
    return json.loads(json.dumps(record))


@pytest.mark.parametrize(("name", "part"), PARTS)
def test_a_detection_is_said_exactly(examples, name, part):
    clause = sql.where(part.pattern)
    if name == "insight":  # whose files lie elsewhere, and whose fields the table does not hold
        assert clause.unknown == ("detail.insightDetails.state",)
        return
    assert clause.exact
    assert not list(examples.disagreements([part.pattern]))


def test_a_detection_without_a_trail_is_no_question_for_the_table():
    (part,) = catalogue()["log-object-deletion"].filled(SAMPLE)
    assert sql.where(part.pattern) == sql.NONE


def test_whatever_is_asked_no_match_is_lost_and_none_is_added(anything):
    dice = Dice(11)
    assert not list(anything.disagreements([dice.pattern() for _ in range(60)]))


_OPERANDS = {
    "exactly": lambda word: word,
    "prefix": lambda word: word,
    "suffix": lambda word: word,
    "equals-ignore-case": lambda word: word,
    "wildcard": lambda word: word.replace("\\", "\\\\").replace("*", "\\*") + "*",
    "anything-but": lambda word: [word, "other"],
}


@pytest.mark.parametrize(
    ("field", "words"),
    [
        ("eventName", WORDS[::3]),
        ("requestParameters", WORDS[::5]),
        *(
            pytest.param(field, WORDS, marks=pytest.mark.exhaustive)
            for field in ("eventName", "requestParameters")
        ),
    ],
    ids=lambda one: one if isinstance(one, str) else str(len(one)),
)
@pytest.mark.parametrize("operator", _OPERANDS)
def test_each_operator_on_each_word(operator, field, words):
    operand = _OPERANDS[operator]
    records = [
        {"eventType": "AwsApiCall", "eventName": word, "requestParameters": {"a": [word, 5]}}
        for word in words
    ]
    leaf = (lambda one: one) if field == "eventName" else (lambda one: {"a": one})
    asked = [{"detail": {field: leaf([{operator: operand(word)}])}} for word in words]
    assert all(sql.where(one).exact for one in asked)
    assert not list(Table(records).disagreements(asked))


def test_numbers_flags_and_null_are_told_apart():
    values = [*NUMBERS, *map(str, NUMBERS), True, False, None, "true", "null", {}, {"a": 5}, []]
    records = [{"eventType": "AwsApiCall", "requestParameters": {"a": one}} for one in values]
    plain = [one for one in values if not isinstance(one, dict | list)]
    compared = [{"numeric": [">", 0, "<=", 5]}, {"numeric": ["=", 2.5]}, {"anything-but": [5, 1]}]
    asked = [{"detail": {"requestParameters": {"a": [one]}}} for one in [*plain, *compared]]
    assert not list(Table(records).disagreements(asked))


def test_the_source_goes_by_the_service():
    records = [
        {"eventType": kind, **({} if kind == "AwsCloudTrailInsight" else {"eventSource": one})}
        for kind in ("AwsApiCall", "AwsCloudTrailInsight")
        for one in (*SOURCES, "cloudtrail.amazonaws.com.amazonaws.com")
    ] + [{"eventType": "AwsApiCall"}]
    words = [f"aws.{one}" for one in (*SOURCES, "kms.amazonaws.com", "s3", "cloudtrail")] + [""]
    leaves = [*words, {"prefix": "aws.k"}, {"anything-but": ["aws.kms", ""]}, {"suffix": "trail"}]
    logs = Table(records)
    clauses = [sql.where({"source": [one]}) for one in leaves]
    right = [[_source_fits(one, record) for record in records] for one in leaves]
    assert [list(one) for one in logs.answers(clauses)] == right
    assert all(any(one) for one in right[-4:])


def _source_fits(leaf, record):
    return patterns.matches({"source": [leaf]}, events.event(record))


def test_nothing_is_lost_where_elements_lack_what_others_have():
    missing, maybe = [{"exists": False}], [{"exists": False}, "x"]
    values = [
        [],
        {},
        None,
        "x",
        [{}],
        [{"a": "x"}, {"b": 1}],
        [{"b": 1}, {"a": "x", "b": 2}],
        [None],
    ]
    records = [{"eventType": "AwsApiCall", "requestParameters": {"i": one}} for one in values]
    records.append({"eventType": "AwsApiCall", "requestParameters": {}})
    asked = [
        {"detail": {"requestParameters": {"i": {"a": one, "b": other}}}}
        for one in (missing, maybe, ["x"])
        for other in (missing, maybe, [1, 2])
    ]
    assert not list(Table(records).disagreements(asked))


def test_conditions_on_one_array_are_on_one_element():
    record = {
        "eventType": "AwsApiCall",
        "requestParameters": {"tags": [{"key": "a", "value": "1"}, {"key": "b", "value": "2"}]},
    }
    one, other = (
        {"detail": {"requestParameters": {"tags": {"key": ["a"], "value": [value]}}}}
        for value in ("1", "2")
    )
    clauses = [sql.where(one), sql.where(other)]
    assert all(clause.exact for clause in clauses)
    assert Table([record]).answers(clauses) == [(True,), (False,)]


NASTY = [
    *(
        "'; DROP TABLE logs; --",
        "\\' OR 1=1 --",
        "U&'\\0027'",
        "/* */",
        "x'||'y",
        "\u0000",
        "\n-- ",
    ),
    *('$.a") OR ("', "${jndi}", "?", ":a", "%s", "\u2019", "\u02bc"),
]


@pytest.mark.parametrize("word", NASTY, ids=repr)
def test_nothing_but_literals_comes_from_a_pattern(anything, word):
    for harmless, nasty in zip(_with("word word"), _with(word), strict=True):
        clauses = [sql.where(harmless), sql.where(nasty)]
        shapes = {LITERAL.sub("?", one.text.replace(r" ESCAPE '\'", "")) for one in clauses}
        assert len(shapes) == 1 or clauses[1].text == "TRUE", nasty
        anything.answers(clauses[1:])


def _with(word):
    """Patterns with a word wherever one can have a word."""
    escaped = word.replace("\\", "\\\\").replace("*", "\\*")
    for leaf in (
        *(word, {"prefix": word}, {"suffix": word}, {"equals-ignore-case": word}),
        *(
            {"wildcard": f"{escaped}*"},
            {"anything-but": [word]},
            {"anything-but": {"prefix": word}},
        ),
    ):
        yield {"detail": {"eventName": [leaf]}}
        yield {"detail": {"requestParameters": {"a": [leaf]}}}
        yield {"source": [leaf], "detail": {"resources": {"ARN": [leaf]}}}
    yield {"detail": {"requestParameters": {word: ["a"]}}}
    yield {"detail": {"requestParameters": {"a": {word: {"b": ["a"]}}}}}


def test_a_statement_holds_no_line_that_a_pattern_wrote():
    question = Question("\nDROP TABLE logs", {"detail": {"x\nDROP TABLE logs": ["y"]}})
    for said in (
        statements.rows(NOVEMBER, [question]),
        statements.answer(NOVEMBER, question),
        statements.tally(NOVEMBER, {question.name: [question]}),
    ):
        assert not [line for line in said.splitlines() if line.lstrip().startswith("DROP")]


def test_what_no_query_can_hold_lets_rows_through():
    clause = sql.where({"detail": {"eventName": ["\ud800"]}})
    assert clause.text == "eventname IS NOT NULL"
    assert not clause.exact


@pytest.mark.parametrize(
    "asked",
    [
        {"detail": {"sourceIPAddress": [{"cidr": "10.0.0.0/12"}]}},
        {"detail": {"sourceIPAddress": ["10.0.0.1"]}},
        {"detail": {"requestParameters": {"n": [{"numeric": [">", 5]}]}}},
        {"detail": {"responseElements": [{"exists": False}]}},
        {"detail": {"requestParameters": {"a": {"x": [1], "y": [{"exists": False}]}}}},
    ],
    ids=str,
)
def test_it_is_said_where_the_rest_is_done_here(asked):
    clause = sql.where(asked)
    assert clause.finished
    assert not clause.exact
    assert f"-- lets more rows through than match: {clause.finished[0]}" in statements.rows(
        NOVEMBER, [Question("q", asked)]
    )


CONDITIONS = [
    Within(("eu-west-1", "a")),
    Written(),
    Outside(("10.0.0.0/8",)),
    Outside(("10.0.0.0/30", "192.168.0.0/20")),
    Outside(("2001:db8::/32", "10.0.0.0/8")),
    Between("2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"),
]


@pytest.mark.parametrize("condition", CONDITIONS, ids=str)
def test_a_condition_is_what_it_is_here(condition):
    times = ["2026-10-31T23:59:59Z", "2026-11-01T00:00:00Z", "2026-11-02T00:00:00Z"]
    addresses = ["10.0.0.1", "10.0.0.4", "192.168.15.255", "192.168.16.0", "::1", "::ffff:10.0.0.1"]
    addresses += ["AWS Internal", "s3.amazonaws.com", "10.0.0", "2001:db8::1", "fe80::1%eth0", ""]
    records = [
        {
            "eventType": "AwsApiCall",
            "awsRegion": ["eu-west-1", "eu-west-2", "a"][i % 3],
            "eventTime": times[i // 2 % 3],
            **({"readOnly": i % 2 == 0} if i % 5 else {}),
            **({"managementEvent": i % 3 == 0} if i % 7 else {}),
            "sourceIPAddress": addresses[i % len(addresses)],
        }
        for i in range(60)
    ]
    logs = Table(records)
    clause = sql.condition(condition)
    (answers,) = logs.answers([clause])
    right = [condition.holds(one) for one in logs.records]
    assert any(right)
    assert not all(right)
    if clause.exact:
        assert list(answers) == right
    assert all(answer for answer, fits in zip(answers, right, strict=True) if fits)


# Whole statements


ACTORS = (
    {"type": "IAMUser", "userName": "eve"},
    {"type": "AWSService", "invokedBy": "config.amazonaws.com"},
    {"type": "Unknown", "principalId": "AIDA"},
    {"type": "Root"},
    {"type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/eve", "userName": "eve"},
    {
        "type": "AssumedRole",
        "arn": "arn:aws:sts::123456789012:assumed-role/admin/x",
        "sessionContext": {"sessionIssuer": {"arn": "arn:aws:iam::123456789012:role/admin"}},
    },
)
"""Each says in another field who he is."""


def _day_by_day():
    """Records of some days in two regions, some tampering, some denied; every third came twice."""
    tampering = [one["detail"] for one in catalogue()["trail-tampering"].fires_on(SAMPLE)]
    for i in range(120):
        base = tampering[i % len(tampering)] if i % 3 else {"eventType": "AwsApiCall"}
        one = {
            **base,
            "eventID": f"id-{i}",
            "eventTime": f"2026-11-{1 + i % 4:02}T{i % 24:02}:00:{i % 60:02}Z",
            "awsRegion": "eu-west-1" if i % 5 else "us-east-1",
            "eventName": base.get("eventName", "GetObject"),
            "userIdentity": ACTORS[i % 11 % len(ACTORS)],
            **({"errorCode": "AccessDenied"} if i % 4 < 2 else {}),
        }
        if i % 7 == 0:
            del one["eventID"]  # which nobody can tell from another that is alike
        yield one
        if i % 3 == 1:
            yield one


@pytest.fixture(scope="module")
def days():
    records = list(_day_by_day())
    return Table(
        records,
        [
            {"region": one["awsRegion"], "timestamp": one["eventTime"][:10].replace("-", "/")}
            for one in records
        ],
    )


def _fits(question, record):
    return patterns.matches(question.pattern, events.event(record)) and all(
        one.holds(record) for one in question.conditions
    )


@pytest.fixture
def scope():
    first = datetime(2026, 11, 1, 12, tzinfo=UTC)
    return Scope("logs", first, first + timedelta(days=2), ("eu-west-1",))


def _in_scope(records, scope):
    return [
        one
        for one in records
        if Between.of(scope.since, scope.until).holds(one) and one["awsRegion"] in scope.regions
    ]


def test_the_rows_are_the_records_that_any_question_asks_for(days, scope):
    asked = [questions.stops(), questions.denied()]
    rows = [table.record(one) for one in days.ask(statements.rows(scope, asked))]
    right = [one for one in _in_scope(days.records, scope) if any(_fits(q, one) for q in asked)]
    assert sorted(rows, key=str) == sorted(right, key=str)
    assert rows


def test_the_tally_counts_each_event_once_a_day(days, scope):
    detections = {
        name: questions.of_detection(catalogue()[name], catalogue()[name].filled(SAMPLE))
        for name in ("trail-tampering", "log-object-deletion", "assume-role")
    }
    right = {}
    for one in _in_scope(days.records, scope):
        for name, parts in detections.items():
            if any(_fits(part, one) for part in parts) and "eventID" in one:
                right.setdefault((name, one["eventTime"][:10]), []).append(one["eventID"])
    answer = days.ask(statements.tally(scope, detections))
    assert {row[:2]: row[2] for row in answer} == {key: len({*ids}) for key, ids in right.items()}
    assert all(len({*ids}) < len(ids) for ids in right.values())
    assert len(answer) > 1


ASKED = [
    questions.who_terminated("i-0123456789abcdef0"),
    questions.who_changed_security_group("sg-0123456789abcdef0"),
    questions.outside(["10.0.0.0/8", "192.168.0.0/16"]),
    questions.denied(),
    questions.denied("arn:aws:iam::123456789012:role/admin"),
    questions.failed_logins(),
    questions.root(),
    questions.actor("arn:aws:iam::123456789012:user/eve", NOVEMBER.since, timedelta(hours=1)),
    questions.stops(),
    questions.one_event("id-1"),
]


def test_another_parser_takes_each_statement_for_athenas():
    """Whatever DuckDB makes of it: it is spelled for it first."""
    dice = Dice(13)
    asked = {
        name: questions.of_detection(one, one.filled(SAMPLE)) for name, one in catalogue().items()
    }
    patterns = [Question("any", dice.pattern()) for _ in range(20)]
    for said in (
        statements.tally(NOVEMBER, asked),
        statements.hours(NOVEMBER),
        *(statements.rows(NOVEMBER, [one]) for one in patterns),
        *(statements.answer(NOVEMBER, one) for one in ASKED),
    ):
        [parsed] = sqlglot.parse(said, dialect="athena")
        assert isinstance(parsed, sqlglot.exp.Select)


@pytest.mark.parametrize("question", ASKED, ids=lambda one: one.name)
def test_a_question_has_a_statement_that_runs_and_tells_its_columns(days, scope, question):
    said = statements.answer(scope, question)
    days.ask(said)
    told = [one[0] for one in days.connection.description]
    names = [one.name for one in question.columns]
    if question.whole:
        names = [".".join(one.path) for one in table.FIELDS]
    assert told == names + (["times", "first", "last"] if question.grouped else [])


def _rows(question, records):
    """What the engine here tells of some records."""
    rows = Rows(question)
    document = json.dumps({"Records": records}).encode()
    for one in Searcher(Search((question,))).document("a.json", document).findings:
        rows.add(one)
    return rows


EVERYTHING = {"detail": {"eventName": [{"exists": True}]}}


@pytest.mark.parametrize(
    "question",
    [
        Question("all", EVERYTHING),
        Question("target", EVERYTHING, columns=(questions.TARGET,), grouped=True),
        Question("who", EVERYTHING, columns=(questions.ACTOR, questions.RESULT), grouped=True),
        questions.stops(),
        questions.denied(),
        questions.denied("arn:aws:iam::123456789012:role/admin"),
        questions.root(),
    ],
    ids=lambda one: one.name,
)
def test_a_statement_answers_what_the_engine_here_answers(days, scope, question):
    right = _rows(question, _in_scope(days.records, scope))
    answer = days.ask(statements.answer(scope, question))
    if question.grouped:
        assert answer == [(*one.cells, one.count, one.first, one.last) for one in right.groups]
    else:
        assert answer == [one.cells for one in right.rows]
    assert len(answer) > 0
    if question.name != "root":
        assert right.repeated


def test_a_statement_names_the_target_that_the_engine_here_names():
    paths = [one.split(".")[1:] for one in questions.TARGET.paths[:-1]]
    several = [[one] for one in paths] + [[*pair] for pair in itertools.pairwise(reversed(paths))]
    parameters = [_nested(*some) for some in several]
    parameters += [{"name": one} for one in ({"a": "b"}, ["x"], None, True, 5, "", "x'y")]
    parameters += [{"name": None, "bucketName": "logs"}, {"instancesSet": {"items": []}}, None]
    records = [_touching(at, requestParameters=one) for at, one in enumerate(parameters)]
    listed = ([], [{"type": "x"}], [{"ARN": "arn:one"}, {"ARN": "arn:two"}], None)
    records += [_touching(len(records) + at, resources=one) for at, one in enumerate(listed)]
    question = Question("all", EVERYTHING, columns=(questions.ID, questions.TARGET))
    scope = replace(NOVEMBER, regions=())
    partitions = [{"region": "eu-west-1", "timestamp": "2026/11/02"}] * len(records)
    answer = Table(records, partitions).ask(statements.answer(scope, question))
    assert answer == [one.cells for one in _rows(question, records).rows]
    assert len({target for _, target in answer}) > len(paths)


def _nested(*paths):
    """An object that has each path, with its name as the value."""
    made = {}
    for path in paths:
        made[path[0]] = ".".join(path)
        for key in reversed(path[1:]):
            inner = made[path[0]]
            made[path[0]] = [inner] if key == "0" else {key: inner}
    return made


def _touching(at, **fields):
    return {
        "eventType": "AwsApiCall",
        "eventName": "Touch",
        "eventTime": "2026-11-02T00:00:00Z",
        "eventID": f"id-{at:03}",
        **fields,
    }


def test_a_statement_of_an_event_tells_the_record_once(days, scope):
    meant = next(
        one
        for one in _in_scope(days.records, scope)
        if days.records.count(one) > 1 and "eventID" in one
    )
    answer = days.ask(statements.answer(scope, questions.one_event(meant["eventID"])))
    assert [table.record(one) for one in answer] == [meant]


def test_hours_are_counted_by_region(days, scope):
    times = {}
    for one in _in_scope(days.records, scope):
        hour = (one["awsRegion"], one["eventTime"][:13])
        times.setdefault(hour, []).append(one["eventTime"])
    right = {hour: (len(them), min(them), max(them)) for hour, them in times.items()}
    assert {row[:2]: row[2:] for row in days.ask(statements.hours(scope))} == right


def test_only_the_days_and_regions_asked_for_are_read(scope):
    said = statements.rows(scope, [questions.root()])
    assert "region IN ('eu-west-1')" in said
    # Until noon of the third, and files come late.
    assert "\"timestamp\" BETWEEN '2026/11/01' AND '2026/11/04'" in said
    assert [f"{one:%d}" for one in scope.days()] == ["01", "02", "03", "04"]


def test_a_statement_of_the_whole_catalogue_fits():
    asked = {
        name: questions.of_detection(one, one.filled(SAMPLE)) for name, one in catalogue().items()
    }
    said = statements.tally(NOVEMBER, asked)
    assert len(said.encode()) < statements.LONGEST / 2
