"""`ctwatch alerts`: what has been alerted lately, and how each channel took it."""

from datetime import datetime
from typing import TYPE_CHECKING

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    INTERRUPTED,
    NOT_AS_PROMISED,
    Options,
    json_option,
    watching,
)

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

    from ctwatch.alerts import Alert, Lost
    from ctwatch.opening import Opened
    from ctwatch.times import Given


@click.command(short_help="What was alerted lately, and how each channel took it.")
@click.option(
    "--since",
    default="24h",
    show_default=True,
    metavar="WHEN",
    help="15m, 24h, 90d or 2w ago; or 2026-11-21, or 2026-11-21T14:00.",
)
@click.option("-f", "--follow", is_flag=True, help="Go on with new ones as they come, till Ctrl-C.")
@json_option
@watching
def alerts(options: Options, since: str, follow: bool) -> int:
    """What has been alerted lately, and how each channel took it: from the function's log.

    Times are those of the config's alerts.timezone. Mails that AWS itself sends stand in no log:
    of these ctwatch simulate proves the way. With --json one document; with --follow, too, one
    JSON object a line.

    \b
    Exit code 0: each channel took what it is to be told of.  3: one did not, or
    AWS has given up an alert, or there is no log.  1: AWS would not say.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from ctwatch import times
    from ctwatch.alerts import log_of
    from ctwatch.opening import opened

    given = times.read(since)  # a slip of the fingers is told before AWS is asked
    watch = opened(options.choice)
    log_of(watch.watch)
    begin = times.begin(given, watch.aws.time(), _zone(watch))
    _say_what_is_gone(options, watch, begin)
    return _follow(options, watch, begin) if follow else _list(options, watch, given, begin)


def _zone(watch: "Opened") -> "ZoneInfo":
    from zoneinfo import ZoneInfo

    return ZoneInfo(watch.config.alerts.timezone)


def _say_what_is_gone(options: Options, watch: "Opened", begin: datetime) -> None:
    """Say so where the log does not go back so far."""
    days = watch.config.function.log_retention_days
    if (watch.aws.clock.now() - begin).days > days:
        options.screen.talk(f"The log is kept for {days} days; what is older is gone.", "yellow")


def _list(options: Options, watch: "Opened", given: "Given", begin: datetime) -> int:
    from ctwatch.alerts import alerts as listed
    from ctwatch.alerts import log_of, lost
    from ctwatch.render import alert_json, alerts_view, lost_json, lost_view
    from ctwatch.times import told

    screen, zone = options.screen, _zone(watch)
    with screen.working("Reading the log"):
        found = listed(watch.aws, log_of(watch.watch), begin)
        given_up = lost(watch.watch, watch.aws)
    if options.as_json:
        document = {"since": begin, "alerts": [*map(alert_json, found)]}
        screen.json({**document, "dead_letters": [*map(lost_json, given_up)]})
    else:
        screen.data(*alerts_view(found, zone), *lost_view(given_up))
    if not found:
        screen.talk(f"No alerts {told(given, begin, zone)}.")
    return _code(found, given_up)


def _code(found: list["Alert"], given_up: list["Lost"]) -> int:
    amiss = given_up or any(one.failed for one in found)
    return NOT_AS_PROMISED if amiss else AS_PROMISED


def _follow(options: Options, watch: "Opened", begin: datetime) -> int:
    """Print until somebody has seen enough, which is how this ends and no accident."""
    from ctwatch.alerts import following, log_of, lost
    from ctwatch.render import alert_json, alerts_view, lost_view

    screen, zone = options.screen, _zone(watch)
    try:
        for one in lost_view(lost(watch.watch, watch.aws)):
            screen.talk(one)
        with screen.working("Waiting for alerts; Ctrl-C ends it"):
            for found in following(watch.aws, log_of(watch.watch), begin):
                if options.as_json:
                    screen.json_lines(map(alert_json, found))
                else:
                    screen.data(*alerts_view(found, zone))
    except KeyboardInterrupt:
        pass
    return INTERRUPTED
