"""AWS clients that the runs of a command share: making them anew is a third of what they cost.

A client keeps nothing of a run. Whatever decides how it is made (service, region, settings,
profile, and the AWS variables of the environment, with them the sandbox that it leads to) makes
another one.
"""

import os
from collections.abc import Callable
from typing import Any

import boto3


def sharing(prepare: Callable[[boto3.Session], None] = lambda _: None) -> type[boto3.Session]:
    """A `boto3.Session` of which all instances share their clients.

    Args:
        prepare: called with a session before it makes a client.
    """
    made: dict[tuple[Any, ...], Any] = {}

    class Sharing(boto3.Session):
        def client(self, service_name: Any, **named: Any) -> Any:
            variables = frozenset(one for one in os.environ.items() if one[0].startswith("AWS_"))
            region, config = named["region_name"], named["config"]
            key = (service_name, region, id(config), self.profile_name, variables)
            if key not in made:
                prepare(self)
                made[key] = super().client(service_name, **named)
            return made[key]

    return Sharing
