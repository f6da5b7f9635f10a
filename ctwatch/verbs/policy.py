"""`ctwatch policy`: what a command needs in IAM, and what protects the watch from others."""

from typing import TYPE_CHECKING, Any

import click

from ctwatch.verbs.common import AS_PROMISED, Options, watching

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ctwatch.policy import Document

# As in ctwatch.policy, which is heavy.
_COMMANDS = ("plan", "up", "confirm", "status", "simulate", "alerts", "history", "down")


@click.command(short_help="The least IAM policy that a command needs.")
@click.argument("command", required=False, type=click.Choice(_COMMANDS))
@click.option(
    "--account",
    metavar="ID",
    help="The account's twelve digits: then AWS is not asked for anything.",
)
@click.option(
    "--delete-logs", is_flag=True, help="For `down --delete-logs`: the right to delete the logs."
)
@click.option(
    "--logs",
    is_flag=True,
    help="For `status --logs` and `history --from bucket`: the right to read the logs.",
)
@click.option(
    "--athena",
    is_flag=True,
    help="For `history --from athena`: the right to have Athena read the logs.",
)
@click.option(
    "--on",
    "target",
    type=click.Choice(["probe", "canary", "trail"]),
    default="probe",
    show_default=True,
    help="For `simulate --on`: what it may strike; with trail also for `simulate --heal`.",
)
@click.option("--scp", is_flag=True, help="The service control policy that protects the watch.")
@click.option(
    "--except",
    "exempt",
    metavar="ARN",
    multiple=True,
    help="With --scp: the role or user that may change the watch; may be given several times.",
)
@watching
def policy(  # noqa: PLR0913 - each is an option of its own
    options: Options,
    *,
    command: str | None,
    account: str | None,
    delete_logs: bool,
    logs: bool,
    athena: bool,
    target: str,
    scp: bool,
    exempt: tuple[str, ...],
) -> int:
    """The least IAM policy that COMMAND needs for this config; without COMMAND, all of them need.

    What it prints is the JSON that aws iam create-policy takes; where one policy would be larger
    than AWS takes, a list of several, all of which are needed.

    With --scp: the service control policy by which nobody but the principals named by --except may
    change or delete what is the watch's. An SCP does not bind the organization's management
    account, nor what services of AWS do by themselves.
    """
    from ctwatch.blows import On
    from ctwatch.opening import located
    from ctwatch.policy import policy as least
    from ctwatch.policy import protection, subject

    if scp and (command or delete_logs):
        raise click.UsageError("--scp goes with no COMMAND and no --delete-logs.")
    if bool(exempt) != scp:
        raise click.UsageError(
            "--scp and --except go together: without an --except nobody could change the watch or "
            "clear it away, you neither."
        )
    for given, option, verbs in (
        (delete_logs, "--delete-logs", ["down"]),
        (logs, "--logs", ["status", "history"]),
        (athena, "--athena", ["history"]),
        (target != "probe", "--on", ["simulate"]),
    ):
        if given and command not in {None, *verbs}:
            raise click.UsageError(f"{option} goes with {' or '.join(verbs)}, or with no COMMAND.")
    extent: Any = {"data": delete_logs, "on": On(target), "logs": logs, "with_athena": athena}
    about = subject(*located(options.choice, account), **extent)
    found = protection(about, exempt) if scp else least(command, about)
    _show(options, found)
    return AS_PROMISED


def _show(options: Options, found: "Sequence[Document]") -> None:
    screen = options.screen
    if len(found) == 1:
        screen.json(found[0])
        return
    screen.json(list(found))
    screen.talk(
        f"These are {len(found)} policies, as one would be larger than AWS takes: attach them all."
    )
