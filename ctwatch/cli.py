"""The command `ctwatch`: its verbs in the order of use, and what becomes of a complaint."""

import errno
import gc
import io
import os
import sys
from collections.abc import Sequence
from typing import NoReturn

import click

from ctwatch.errors import CtwatchError
from ctwatch.verbs.alerts import alerts
from ctwatch.verbs.common import INTERRUPTED
from ctwatch.verbs.confirm import confirm
from ctwatch.verbs.detections import detections
from ctwatch.verbs.down import down
from ctwatch.verbs.history import history
from ctwatch.verbs.init import init
from ctwatch.verbs.local import demo, sandbox
from ctwatch.verbs.policy import policy
from ctwatch.verbs.simulate import simulate
from ctwatch.verbs.status import status
from ctwatch.verbs.up import plan, up
from ctwatch.version import VERSION


class _InOrder(click.Group):
    """Lists its commands in the order in which they are told here, which is that of use."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """The names."""
        del ctx
        return list(self.commands)


@click.group(
    cls=_InOrder,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done or as promised, 1 could not be done or found out, 2 the call or the "
    "config is wrong, 3 not as promised, 130 interrupted.",
)
@click.version_option(VERSION, message="%(prog)s %(version)s")
def cli() -> None:
    """Tells you that someone has touched your CloudTrail, and proves that it still would.

    \b
    No AWS account at hand?      ctwatch demo
    A config to begin with:      ctwatch init
    Make it so:                  ctwatch up
    Would I be told right now?   ctwatch status
    Strike, and prove it:        ctwatch simulate stop-logging
    What was alerted lately?     ctwatch alerts
    What would have fired?       ctwatch history
    Clear it away:               ctwatch down
    """  # noqa: D301 - \b is click's mark for lines that stay as they are


_VERBS = (
    *(init, up, plan, confirm, status, simulate, alerts, down),
    *(history, detections, policy, sandbox, demo),
)
for _verb in _VERBS:
    cli.add_command(_verb)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code, and prints complaints as one sentence and a hint."""
    try:
        return int(cli.main(arguments, prog_name="ctwatch", standalone_mode=False) or 0)
    except click.Abort as error:
        click.echo(f"\n{_stopped(error)}", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        _show(error)
        return error.exit_code
    except OSError as error:
        if error.errno not in _UNWRITABLE:
            raise
        click.echo(f"Error: the output cannot be written: {error.strerror}", err=True)
        return 1
    except Exception as error:
        said = _complaint(error)
        if not said:
            raise
        from ctwatch.render import Screen

        Screen().complain(said)
        return said.exit_code


def _show(error: click.ClickException) -> None:
    """Say what click says, which repeats an argument, that may have been copied from a mail."""
    from ctwatch.inert import inert, one_line

    shown = io.StringIO()
    error.show(shown)
    usage, error_, said = shown.getvalue().partition("Error: ")
    click.echo(f"{usage}{error_}{one_line(inert(said))}", err=True)


_UNWRITABLE = {errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBADF}


def _stopped(error: click.Abort) -> str:
    """What to say of Ctrl-C: click makes the same of it at a question and at work."""
    at_work = isinstance(error.__cause__, KeyboardInterrupt)
    if at_work:
        return "Interrupted. What is done is done; ctwatch status tells where things stand."
    return "Aborted: nothing was done."


def _complaint(error: Exception) -> CtwatchError | None:
    """What to say of an exception; None for a bug of ours, whose traceback is worth more."""
    if isinstance(error, CtwatchError):
        return error
    from ctwatch.aws import TROUBLE, complaint

    return complaint(error, "talking to AWS") if isinstance(error, TROUBLE) else None


def run() -> NoReturn:
    """The entry point of the `ctwatch` command."""
    # AWS's models are made once and stay, and all goes with the process: to look for garbage in
    # them over and over again, and at the end, would be two fifths of what a command costs.
    gc.set_threshold(300_000)
    # Pydantic would look through every package that is installed for plugins of its own.
    # https://docs.pydantic.dev/latest/concepts/plugins/
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        sys.exit(main())
    finally:
        gc.freeze()
