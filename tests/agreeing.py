"""Records and patterns at random, and whether SQL and the engine here say the same of them.

The records are of CloudTrail's shape (a text is a text), but what its JSON holds is anything:
arrays in objects in arrays, null, numbers, flags, words in many scripts, addresses, keys with dots.
The patterns ask for what the records hold, so that many match.
"""

import itertools
import json
import random

from ctwatch import patterns
from ctwatch.errors import CtwatchError
from ctwatch.history import events, sql, table
from ctwatch.sandbox import duck

WORDS = [
    *("", "a", "A", "b", "ab", "aB", "Put", "PutRule", "true", "false", "null", "5", "5.0", "-1e3"),
    *("it's", 'say "no"', "back\\slash", "per%cent", "under_score", "star*", "a*b", "[", "{", "{}"),
    *(
        "ß",
        "SS",
        "ǆ",
        "İ",
        "ﬁ",
        "한글",
        "한",
        "😀",
        "e\u0301",
        "\u00e9",
        "a\nb",
        "tab\t",
        "\u0007",
        "\u2028",
    ),
    *(
        "10.0.0.1",
        "10.0.0.01",
        "10.1.2.3",
        "192.168.1.1",
        "::ffff:a00:1",
        "::1",
        "0:0::1",
        "fe80::1",
    ),
    *(
        "2001:db8::1",
        "2001:DB8:0::1",
        "300.1.1.1",
        "--",
        "'); DROP TABLE logs; --",
        "x -> y",
        "U&'",
    ),
]
NUMBERS = [0, 1, 5, 5.0, -1, 2.5, 0.1, 300, 123456789012, 5_000_000_000, 1e300, 0.1234567, -7.25]
SCALARS = [*WORDS, *NUMBERS, True, False, None]
KEYS = ["a", "b", "c", "a b", "key-1", "열쇠", "a.b", "B"]
CIDRS = [
    "10.0.0.0/8",
    "10.0.0.0/9",
    "192.168.0.0/16",
    "10.0.0.0/30",
    "0.0.0.0/0",
    "2001:db8::/32",
    "::/0",
]

KINDS = [*events.DETAIL_TYPES, *(["AwsApiCall"] * 5), "AwsSomethingNew"]
SOURCES = ["s3.amazonaws.com", "cloudtrail.amazonaws.com", "kms", "aws.s3.amazonaws.com", "it's"]


class Dice(random.Random):
    """Chance that can be had again."""

    def value(self, depth=3):
        chance = self.random()
        if depth and chance < 0.3:
            return {key: self.value(depth - 1) for key in self.keys(3)}
        if depth and chance < 0.55:
            return [self.item(depth - 1) for _ in range(self.randrange(4))]
        return self.choice(SCALARS)

    def item(self, depth):
        """A value in an array: an array but rarely."""
        found = self.value(depth)
        return found if not isinstance(found, list) or self.random() < 0.05 else self.value(0)

    def keys(self, most):
        return [key for key in self.some(KEYS, most) if "." not in key or self.random() < 0.05]

    def some(self, population, most):
        return self.sample(population, self.randrange(most + 1))

    def json_object(self):
        return {key: self.value() for key in self.keys(4)}

    def record(self):
        """A record of CloudTrail's shape."""
        found = {"requestParameters": None, "responseElements": None}
        for one in table.FIELDS:
            if self.random() < 0.5 or one.path == ("eventType",):
                table._put(found, one.path, self._held(one))
        if found["eventType"] == "AwsCloudTrailInsight":
            found.pop("eventSource", None)
        return found

    def _held(self, one):
        if one.kind == "json":
            return self.json_object()
        if one.kind == "flag":
            return self.random() < 0.5
        if one.kind == "list":
            return [
                {name: self.choice(WORDS) for name in self.some(table.RESOURCE, 3)}
                for _ in range(self.randrange(4))
            ]
        return {"eventType": self.choice(KINDS), "eventSource": self.choice(SOURCES)}.get(
            one.path[0], self.choice(WORDS)
        )

    # patterns

    def pattern(self):
        """A pattern that AWS would take."""
        while True:
            made = {}
            for path in self.some(PATHS, 3) or [self.choice(PATHS)]:
                self._put(made, path.split(" "), self.alternatives())
            if self.random() < 0.4:
                made.setdefault("detail", {})["$or"] = [self.branch() for _ in range(2)]
            try:
                patterns.check(made)
            except CtwatchError:
                continue
            return made

    def branch(self):
        made = {}
        for path in self.sample(IN_DETAIL, self.randrange(1, 4)):
            self._put(made, path.split(" "), self.alternatives())
        return made

    def _put(self, made, keys, values):
        for key in keys[:-1]:
            made = made.setdefault(key, {})
            if isinstance(made, list):
                return
        if not isinstance(made.get(keys[-1]), dict):
            made[keys[-1]] = values

    def alternatives(self):
        return [self.alternative() for _ in range(self.randrange(1, 4))]

    def alternative(self):
        word, other = (self.choice(WORDS) for _ in range(2))
        number = self.choice(NUMBERS)
        start, end = word[: self.randrange(3)], word[self.randrange(3) :]
        return self.choice(
            [
                *([self.choice(SCALARS)] * 4),
                {"exists": True},
                {"exists": False},
                {"prefix": start},
                {"suffix": end},
                {"prefix": {"equals-ignore-case": start}},
                {"suffix": {"equals-ignore-case": end}},
                {"equals-ignore-case": word},
                {"exactly": word},
                {"wildcard": self.choice([f"{start}*", f"*{end}", f"{start}*{end}", "*", "a*b*"])},
                {"cidr": self.choice(CIDRS)},
                {"numeric": [self.choice(["=", "<", "<=", ">", ">="]), number]},
                {"numeric": [">", -5, "<=", 300]},
                {"anything-but": word},
                {"anything-but": [word, other]},
                {"anything-but": number},
                {"anything-but": [1, 5]},
                {"anything-but": {"prefix": start or "a"}},
                {"anything-but": {"suffix": [end or "a", "b"]}},
                {"anything-but": {"equals-ignore-case": [word, "ab"]}},
                {"anything-but": {"wildcard": f"{start}*"}},
            ]
        )


_JSON = ["requestParameters", "responseElements", "additionalEventData"]
IN_DETAIL = [
    *("eventName", "eventSource", "eventType", "errorCode", "sourceIPAddress", "readOnly"),
    *("userIdentity type", "userIdentity arn", "userIdentity sessionContext sessionIssuer arn"),
    *(
        "userIdentity",
        "eventName x",
        "resources ARN",
        "resources type",
        "resources",
        "resources no",
    ),
    *(
        " ".join([top, *keys.split(" ")])
        for top in _JSON
        for keys in ("a", "b", "c", "열쇠", "a b")
    ),
    *(" ".join([top, *keys]) for top in _JSON[:1] for keys in itertools.product("abc", repeat=2)),
    *(" ".join([_JSON[0], *keys]) for keys in (("a", "b", "c"), ("a", "b", "a"), ("b", "a", "c"))),
    *_JSON,
]
PATHS = [
    *("source", "detail-type", "account", "region", "time", "version", "resources", "id"),
    *(f"detail {one}" for one in IN_DETAIL),
]


def strange(record):
    """Whether it holds what only the engine here can tell: see the docstring of `sql`."""
    return any(_strange(record.get(one.path[0])) for one in table.FIELDS if one.kind == "json")


def _strange(value):
    if isinstance(value, list):
        return any(isinstance(one, list) or _strange(one) for one in value)
    if isinstance(value, dict):
        return any("." in key or _strange(one) for key, one in value.items())
    return False


class Table:
    """Some records as Athena would have them."""

    def __init__(self, records, partitions=None, keys=()):
        self.connection = duck.connect()
        names = list(keys or (partitions or [{}])[0])
        values = [list(one.values()) for one in (partitions or [{}] * len(records))]
        rows = zip(records, values, strict=True)
        duck.lay(self.connection, "logs", dict(table.columns()), names, rows)
        names = ", ".join(f"{text} AS c{i}" for i, (text, _) in enumerate(table.selected()))
        self.records = [
            table.record(row) for row in self.ask(f"SELECT {names} FROM logs ORDER BY rowid")
        ]
        self.strange = [strange(one) for one in self.records]
        self._events = [events.event(one) for one in self.records]

    def ask(self, statement):
        """What Athena would answer."""
        return self.connection.execute(duck.spelled(statement)).fetchall()

    def answers(self, clauses):
        """Of each clause, whether each record fulfils it."""
        said = ", ".join(f"COALESCE({one.text}, FALSE)" for one in clauses)
        return list(zip(*self.ask(f"SELECT {said} FROM logs ORDER BY rowid"), strict=True))

    def disagreements(self, asked):
        """The patterns of which SQL says another thing than the engine here, with a record."""
        clauses = [sql.where(one) for one in asked]
        for pattern, clause, answers in zip(asked, clauses, self.answers(clauses), strict=True):
            matches = patterns.compile_pattern(json.dumps(pattern)).matches
            for i, (answer, event) in enumerate(zip(answers, self._events, strict=True)):
                right = matches(event)
                lost, extra = right and not answer, answer and not right
                if lost or (extra and clause.exact and not self.strange[i]):
                    yield pattern, clause.text, event["detail"], "lost" if lost else "extra"
                    break
