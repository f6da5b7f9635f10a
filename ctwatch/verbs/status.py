"""`ctwatch status`: would I be told right now?"""

from typing import TYPE_CHECKING

import click

from ctwatch.verbs.common import INTERRUPTED, Options, Seconds, json_option, looked, watching
from ctwatch.verbs.logs import check_logs, logs_options

if TYPE_CHECKING:
    from ctwatch.opening import Opened


@click.command(short_help="Would I be told right now?")
@click.option("--watch", "again", is_flag=True, help="Look again and again, until Ctrl-C.")
@click.option(
    "--interval",
    type=Seconds(min=1),
    default=10,
    show_default=True,
    metavar="SECONDS",
    help="How long --watch waits between two looks.",
)
@logs_options
@json_option
@watching
def status(options: Options, again: bool, interval: float, logs: bool, since: str | None) -> int:
    """Would I be told right now? One verdict, a line per hop, a remedy per fault.

    With --watch a terminal shows the newest; elsewhere it is printed when the verdict or a hop
    changes, and with --json every look is a line. Ctrl-C is its end: the exit code is the last
    verdict's.

    With --logs instead: are the log files as CloudTrail delivered them?

    \b
    Exit code 0: ARMED.  3: not as promised.  1: it cannot be told.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    if logs and again:
        raise click.UsageError("--logs goes with no --watch: log files come every few minutes.")
    if logs or since is not None:
        return check_logs(options, since, asked=logs)
    from ctwatch.opening import opened
    from ctwatch.render import diagnosis_json, promised_view, status_view

    screen, watch = options.screen, opened(options.choice, need_keys=False)
    if again:
        return _again(options, watch, interval)
    with screen.working("Looking"):
        findings, diagnosis = looked(watch, ask=True)
    if options.as_json:
        screen.json(diagnosis_json(diagnosis))
    else:
        screen.data(*status_view(diagnosis))
        screen.data(*promised_view(findings) if options.verbose else ())
    return diagnosis.verdict.exit_code


def _again(options: Options, watch: "Opened", interval: float) -> int:
    """Look until Ctrl-C; what cannot be looked at is UNKNOWN, and looked at again.

    Returns:
        The last verdict's exit code, or that of an interruption where there was no verdict yet.
    """
    from ctwatch.render import diagnosis_json, moment_line, promised_view, status_view

    screen, code, gist = options.screen, INTERRUPTED, None
    try:
        with screen.redrawing() as draw:
            while True:
                findings, diagnosis = looked(watch, ask=True)
                code = diagnosis.verdict.exit_code
                if options.as_json:
                    screen.json_lines([diagnosis_json(diagnosis)])
                else:
                    views = [moment_line(diagnosis, interval), *status_view(diagnosis)]
                    views += promised_view(findings) if options.verbose else ()
                    draw(views, diagnosis.gist != gist)
                gist = diagnosis.gist
                watch.aws.clock.sleep(interval)
    except KeyboardInterrupt:
        return code
