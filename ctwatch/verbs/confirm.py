"""`ctwatch confirm`: confirm a mail's subscription so that no link in a mail can end it."""

import io
import sys

import click

from ctwatch.verbs.common import AS_PROMISED, NOT_AS_PROMISED, Options, watching


@click.command(short_help="Confirm a mail's subscription, safe from the unsubscribe link.")
@click.argument("link", required=False, metavar="[LINK]")
@watching
def confirm(options: Options, link: str | None) -> int:
    """Confirm a mail's subscription so that the unsubscribe link in its mails no longer works.

    LINK is what Confirm subscription leads to in the mail from AWS Notifications, copied and not
    followed. Without one, or for -, it is read from stdin; that may be the whole mail.

    \b
    Exit code 0: confirmed and protected.  3: not protected, as the link was
    followed before.  1: AWS refused.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from ctwatch.confirmation import confirm as confirmed
    from ctwatch.confirmation import link_in
    from ctwatch.opening import opened
    from ctwatch.render import confirmed_view

    given = link_in(_given(link))  # a slip of the fingers is told before AWS is asked
    screen, watch = options.screen, opened(options.choice)
    with screen.working("Confirming"):
        found = confirmed(watch.aws, watch.watch.topic, given)
    screen.data(*confirmed_view(found))
    return AS_PROMISED if found.protected and not found.pending else NOT_AS_PROMISED


def _given(link: str | None) -> str:
    """The argument, or what comes from stdin where there is none."""
    if link not in {None, "-"}:
        return str(link)
    if link is None and sys.stdin.isatty():
        raise click.UsageError("Give the LINK of the confirmation mail, or pipe the mail in.")
    if isinstance(sys.stdin, io.TextIOWrapper):
        sys.stdin.reconfigure(errors="replace")  # a mail need not be UTF-8
    return sys.stdin.read()
