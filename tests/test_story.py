"""The whole circle in one test, as the demo tells it."""

from datetime import UTC, datetime

import boto3
import pytest
from shared_clients import sharing


@pytest.fixture(scope="module")
def session():
    """Clients with sockets, as a user's have them."""
    return sharing()


def test_a_watch_goes_up_is_proven_and_comes_down(run, sandbox, click_the_link):
    assert run("status").out.startswith("ABSENT")
    up = run("up")
    assert up.code == 0
    assert up.err.splitlines()[-1].endswith("run ctwatch up for a new one")
    assert run("status").code == 3
    click_the_link()
    assert run("status").out.startswith("ARMED")

    drills = run("simulate", "all", "--timeout", "20")
    assert drills.code == 0, drills
    assert drills.out.count("  proven") == 9
    assert sandbox.idle()
    assert len(sandbox.inbox.posts) == 9
    assert len([mail for mail in sandbox.inbox.mails if "StopLogging" in mail.text]) == 1

    down = run("down", "--yes")
    assert down.code == 0
    assert "its deletion was heard" in down.err
    assert "DeleteTrail" in sandbox.inbox.posts[-1].payload["content"]
    assert "SUCCEEDED" in sandbox.inbox.posts[-1].payload["content"]
    assert [line.split()[:2] for line in sandbox.listing()] == [["s3", "bucket"]]
    assert run("status").out.startswith("ABSENT")


def test_an_intruders_stop_logging_reaches_discord_and_the_mailbox(run, sandbox, armed):
    client = sandbox_client("cloudtrail")
    client.stop_logging(Name="ct-trail-monitor")
    assert sandbox.idle()
    [post] = sandbox.inbox.posts
    assert "StopLogging" in post.payload["content"]
    assert "SUCCEEDED" in post.payload["content"]
    assert f"{datetime.now(UTC):%Y-%m-%d}" in str(post.payload)
    assert [mail for mail in sandbox.inbox.mails if '"eventName":"StopLogging"' in mail.text]
    assert run("status").out.startswith("BLIND")


def sandbox_client(service):
    return boto3.session.Session().client(service)
