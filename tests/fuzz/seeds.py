"""Where a fuzzer begins: what is right, and what it finds, which so far is nothing."""

import json
from pathlib import Path

from notifier_records import IDENTITIES

from ctwatch.detections import catalogue

_FOUND = Path(__file__).parent / "found"
_ROOT = Path(__file__).parent.parent.parent

_EVENTS = [event for one in catalogue().values() for event in one.examples.fires]
_PATTERNS = [part.pattern for one in catalogue().values() for part in one.parts]
_OPERATORS = (
    {"a": [{"prefix": {"equals-ignore-case": "x"}}, {"suffix": "y"}, {"wildcard": "a*b"}]},
    {"a": [{"anything-but": ["x", 1]}, {"anything-but": {"prefix": "y"}}, {"exists": False}]},
    {"a": [{"numeric": [">", 0, "<=", 5]}, {"cidr": "10.0.0.0/8"}, {"cidr": "::1/128"}]},
    {"$or": [{"a": ["x"]}, {"b": {"c": [None, True, 1.5e300]}}]},
)


def _bytes(*documents: object) -> bytes:
    return "\n".join(map(json.dumps, documents)).encode()


def found(target: str) -> dict[str, bytes]:
    """The inputs that broke it, by the name of their file; there is no folder before the first."""
    folder = _FOUND / target
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*"))}


SEEDS: dict[str, list[bytes]] = {
    "config": [
        (_ROOT / "config.example.yaml").read_bytes(),
        b"topic: {emails: [a@b.co]}\nrules: [{name: x, detection: root-login}]\n",
    ],
    "pattern": [_bytes(one, _EVENTS[0]) for one in (*_PATTERNS, *_OPERATORS)],
    "notifier": [
        *map(_bytes, _EVENTS),
        *(_bytes({"Records": [{"Sns": {"Message": json.dumps(one)}}]}) for one in _EVENTS[:3]),
    ],
    "record": [
        *(_bytes(one.get("detail")) for one in _EVENTS),
        *(
            _bytes({"eventName": "StopLogging", "userIdentity": one[0]})
            for one in IDENTITIES.values()
        ),
    ],
}
for _name, _seeds in SEEDS.items():
    _seeds.extend(found(_name).values())
