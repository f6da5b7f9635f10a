"""`ctwatch status --logs`: are the log files as CloudTrail delivered them?"""

from collections.abc import Callable
from typing import Any

import click

from ctwatch.verbs.common import AS_PROMISED, COULD_NOT, NOT_AS_PROMISED, Options, say_which

_DEFAULT = "24h"


def logs_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of the check."""
    since = click.option(
        "--since",
        metavar="WHEN",
        help="With --logs: 15m, 24h, 90d or 2w ago; or 2026-11-21, or 2026-11-21T14:00.  "
        f"[default: {_DEFAULT}]",
    )
    logs = click.option(
        "--logs",
        is_flag=True,
        help="Check the delivered log files instead: the signed chain of digests, and each hash.",
    )
    return logs(since(command))


def check_logs(options: Options, since: str | None, *, asked: bool) -> int:
    """Check what the trail has delivered.

    Returns:
        The exit code: 0 all is valid, 3 something is not, 1 not all could be found out.
    """
    if not asked:
        raise click.UsageError("--since goes with --logs.")
    from zoneinfo import ZoneInfo

    from ctwatch import times
    from ctwatch.delivered import deliveries, reports
    from ctwatch.opening import opened
    from ctwatch.render import logs_json, logs_view

    given = times.read(
        _DEFAULT if since is None else since
    )  # a slip of the fingers is told before AWS is asked
    screen, watch = options.screen, opened(options.choice)
    if not options.as_json:
        say_which(screen, watch)
    now = watch.aws.time()
    zone = ZoneInfo(watch.config.alerts.timezone)
    begin = times.begin(given, now, zone)
    with screen.working("Checking the log files") as say:
        where = deliveries(watch.watch.trail.arn, watch.watch.place.account, watch.aws)
        found = []
        for one in reports(where, watch.aws, begin, now):
            found.append(one)
            say(f"Checking the log files: {len(found)} regions are done")
    found.sort(key=lambda one: one.region)
    if options.as_json:
        screen.json(logs_json(where, found, begin, now))
    else:
        screen.data(*logs_view(where, found, times.told(given, begin, zone)))
    if any(one.faults for one in found):
        return NOT_AS_PROMISED
    whole = any(one.digests for one in found) and not any(one.unknown for one in found)
    return AS_PROMISED if whole else COULD_NOT
