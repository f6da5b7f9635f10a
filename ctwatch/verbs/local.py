"""`ctwatch sandbox` and `ctwatch demo`: an AWS on this machine."""

import click

from ctwatch.verbs.common import spoken


@click.command(short_help="Keep a local AWS running on this machine.")
@click.option("--region", default="ap-northeast-2", show_default=True, help="The home region.")
@click.option(
    "--like-aws", is_flag=True, help="Take AWS's time to agree, keep its rates, deliver late."
)
@click.option(
    "--latency",
    type=click.IntRange(0, 5000),
    default=0,
    metavar="MS",
    help="Answer each call so many milliseconds later, 5000 at most, and tell how many came.",
)
@click.option("-q", "--quiet", is_flag=True, help="Tell no more than the confirmation links.")
def sandbox(region: str, like_aws: bool, latency: int, quiet: bool) -> int:
    """Keep a local AWS running on this machine, for ctwatch and any other AWS client.

    Prints the exports that lead there; every hop of every event is told as it happens. Ctrl-C ends
    it, and with it everything in it.

    It agrees at once, unless told to be like AWS: then a new role cannot be assumed for some
    seconds, what was just changed is shown as it was, and an event comes late, sometimes twice,
    rarely never.

    With --latency it is as far away as AWS is, and tells after each burst of calls how many there
    were, and how many of them came after one another, which is what distance costs.
    """
    from ctwatch.demo import keep_sandbox

    return keep_sandbox(region, quiet=quiet, like_aws=like_aws, latency=latency / 1000)


@click.command(short_help="The whole circle on this machine, no AWS needed.")
@click.option("--language", type=click.Choice(["en", "ko"]), default=None, help="Of the alerts.")
def demo(language: str | None) -> int:
    """The whole circle on this machine: no AWS account, no Docker, no network.

    Starts a local AWS, then: plan, up, confirm, status, simulate all, status, down; and shows the
    Discord messages and mails that arrived.
    """
    from ctwatch.demo import run_demo

    return run_demo(language or spoken())
