"""How the cost of `up` and `status` grows with rules, regions and addresses.

Counted, not timed; calls in series must not grow with any of them.
"""

from collections.abc import Mapping
from typing import Any

import counting
from away import PLAIN, written
from counting import Counted
from measuring import Row

REGIONS = (
    *("ap-northeast-1", "ap-northeast-3", "ap-south-1", "ap-southeast-1", "ap-southeast-2"),
    *("ca-central-1", "eu-central-1", "eu-north-1", "eu-west-1", "eu-west-2", "eu-west-3"),
    *("sa-east-1", "us-east-1", "us-east-2", "us-west-1", "us-west-2"),
)
VERBS = ("up", "status")


def rules(many: int) -> dict[str, Any]:
    """A watch with so many rules."""
    named = [{"name": f"rule-{one}", "detection": "trail-tampering"} for one in range(many)]
    return {**PLAIN, "rules": named}


def regions(many: int) -> dict[str, Any]:
    """A watch in so many regions, with a rule that is of use in each."""
    rule = {"name": "assume-role", "detection": "assume-role"}
    return {**PLAIN, "rules": [rule], "regions": list(REGIONS[: many - 1])}


def emails(many: int) -> dict[str, Any]:
    """A watch that sends mail to so many."""
    return {**PLAIN, "topic": {"emails": [f"{one}@example.com" for one in range(many)]}}


GROWING = {
    "rule": (rules, (1, 10, 50)),
    "region": (regions, (1, 5, 17)),
    "e-mail": (emails, (1, 10)),
}


def counted(config: Mapping[str, Any]) -> list[Counted]:
    """The calls of `up` on an empty account, and of `status` thereafter."""
    with written(config) as path, counting.account() as here:
        return [here.run(path, verb) for verb in VERBS]


def measure(rounds: int) -> list[Row]:
    """The table; once, as what is counted is the same each time."""
    del rounds
    rows = []
    for unit, (config, sizes) in GROWING.items():
        found = [counted(config(many)) for many in sizes]
        for verb, of_sizes in zip(VERBS, zip(*found, strict=True), strict=True):
            least = of_sizes[0].series
            rows += [_row(verb, unit, *one, least) for one in zip(sizes, of_sizes, strict=True)]
    return rows


def _row(verb: str, unit: str, many: int, known: Counted, least: int) -> Row:
    what = f"`{verb}`, {many} {unit}{'s' if many > 1 else ''}"
    numbers = str(known.calls), str(known.series)
    return Row(what, "", *numbers, bar=f"{least} in series", met=known.series <= least)
