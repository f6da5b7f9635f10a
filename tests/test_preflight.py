"""What `up` and `plan` look at before anything is touched: what is told, and what stops `up`."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml
from test_existing import OTHERS, build_trail
from watch_world import ADDRESS, MAIL_ONLY, PLACE, World, world_of

from ctwatch.sandbox.identities import ROOT_KEY
from ctwatch.sandbox.server import Sandbox

HOME, AWAY, CLOSED = PLACE.region, "eu-west-1", "af-south-1"
COPY = "a copy beside the first costs $2.00 per 100,000 events"
FULL = f"{HOME} has 5 trails already, and AWS allows 5: t-0, t-1, t-2, t-3, t-4"


@pytest.fixture(scope="module")
def opened(running: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with world_of(running, tmp_path_factory.mktemp("preflight")) as world:
        yield world


@pytest.fixture
def world(opened: World) -> World:
    opened.use(MAIL_ONLY)
    return opened


def denying(*operations: str) -> Callable[..., tuple[str, str] | None]:
    return lambda _, name, __: ("AccessDeniedException", "no") if name in operations else None


def written(world: World, *arguments: str) -> tuple[Any, list[str]]:
    """A command that ran, and what it wrote."""
    with world.sandbox.recording() as calls:
        ran = world.run(*arguments)
    return ran, [one.operation for one in calls if one.writes]


# ---------------------------------------------------------------- trails that are there already


def test_of_an_empty_account_there_is_nothing_to_doubt(world: World) -> None:
    for ran in (world.run("plan"), world.run("up"), world.run("up")):
        assert "Warning" not in ran.err.replace(f"Warning: {ADDRESS}", "")
        assert "would stop" not in ran.err


def test_a_second_copy_of_the_log_is_told_with_its_price(world: World) -> None:
    build_trail(world, "company")
    arn = PLACE.arn("cloudtrail", "trail/company")
    for ran in (world.run("plan"), world.run("up")):
        assert ran.code == 0
        assert f"Warning: {arn} records the management events of {HOME} already" in ran.err
        assert COPY in ran.err
        assert "trail: {existing: company}" in ran.err
    assert "$20.00 trail ct-trail-monitor, second copy of the events" in world.run("plan").out


def test_a_shadow_and_an_organization_s_trail_record_too(world: World) -> None:
    build_trail(world, "shadow", region=AWAY)
    shadow = f"arn:aws:cloudtrail:{AWAY}:{PLACE.account}:trail/shadow"
    world.sandbox.join_organization(OTHERS, "organization-logs")
    plan = world.run("plan")
    assert plan.code == 0
    assert shadow in plan.err
    assert OTHERS in plan.err
    assert "record the management events" in plan.err
    assert "existing: arn:aws:cloudtrail" in plan.err


@pytest.mark.parametrize("silence", ["stopped", "reads alone", "another region's alone"])
def test_a_trail_that_records_nothing_of_it_costs_nothing(world: World, silence: str) -> None:
    where = AWAY if silence == "another region's alone" else HOME
    build_trail(world, "company", region=where, IsMultiRegionTrail=where == HOME)
    cloudtrail = world.client("cloudtrail", where)
    if silence == "stopped":
        cloudtrail.stop_logging(Name="company")
    if silence == "reads alone":
        some = [{"ReadWriteType": "ReadOnly", "IncludeManagementEvents": True}]
        cloudtrail.put_event_selectors(TrailName="company", EventSelectors=some)
    assert COPY not in world.run("plan").err


def test_a_trail_that_an_earlier_config_left_is_no_other_s(world: World) -> None:
    assert world.run("up").code == 0
    renamed = {**MAIL_ONLY, "trail": {"name": "renamed"}}
    world.config.write_text(yaml.safe_dump(renamed), encoding="utf-8")
    for verb in ("plan", "up"):
        assert COPY not in world.run(verb).err


def fill(world: World, number: int) -> None:
    for one in range(number):
        build_trail(world, f"t-{one}", region=AWAY if one % 2 else HOME)


def test_a_secret_that_is_not_at_hand_stops_up_and_plan_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOT_SET", raising=False)
    world.use({"channels": [{"type": "discord", "url": "env:NOT_SET"}]})
    plan, up = world.run("plan"), world.run("up")
    assert (plan.code, up.code) == (0, 2)
    assert "NOT_SET is not set" in up.err
    assert "ctwatch up would stop: channels[0].url: env:NOT_SET: the environment" in plan.err


def test_no_sixth_trail_is_tried(world: World) -> None:
    fill(world, 5)
    plan = world.run("plan")
    assert plan.code == 0
    assert f"ctwatch up would stop: {FULL}" in plan.err
    up, writes = written(world, "up")
    assert up.code == 1
    assert f"Error: {FULL}" in up.err
    assert "lean on one: trail: {existing: t-0}" in up.err
    assert writes == []


def test_the_own_trail_may_be_the_fifth(world: World) -> None:
    fill(world, 4)
    for _ in range(2):
        up = world.run("up")
        assert up.code == 0
        assert "5 trails already" not in up.err


def test_an_existing_trail_needs_no_room_and_makes_no_copy(world: World) -> None:
    world.use({**MAIL_ONLY, "trail": {"existing": "t-1"}})
    fill(world, 2)
    world.sandbox.join_organization(OTHERS, "organization-logs")
    for name in ("x-0", "x-1"):
        build_trail(world, name)
    assert len(world.client("cloudtrail").describe_trails()["trailList"]) == 5
    up = world.run("up")
    assert up.code == 0, up
    assert COPY not in up.err


@pytest.mark.parametrize("operation", ["DescribeTrails", "GetTrailStatus"])
def test_trails_that_may_not_be_looked_at_are_told_and_stop_nothing(
    world: World, operation: str
) -> None:
    build_trail(world, "company")
    world.refuse = denying(operation)
    plan = world.run("plan")
    world.refuse = lambda *_: None
    looking = "looking for other trails" if operation == "DescribeTrails" else "looking at a trail"
    assert f"Warning: not looked at, {looking}: {operation} answered AccessDenied" in plan.err
    assert "would stop" not in plan.err
    assert "to create" in plan.err


# ---------------------------------------------------------------- who asks, and for how long


def test_the_root_user_is_warned(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ROOT_KEY)
    for verb in ("plan", "up"):
        ran = world.run(verb)
        assert ran.code == 0
        assert "Warning: these are the root user's credentials" in ran.err


@pytest.mark.parametrize(
    ("minutes", "said"), [(4.5, "your session ends in 4 min"), (30, ""), (None, "")]
)
def test_a_session_that_is_about_to_end_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, minutes: float | None, said: str
) -> None:
    if minutes is not None:
        end = datetime.now(UTC) + timedelta(minutes=minutes)
        monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", end.isoformat())
    plan = world.run("plan")
    assert plan.code == 0
    assert ("your session ends" in plan.err) is bool(said)
    assert said in plan.err


def test_a_session_that_has_ended_gets_one_sentence(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    end = datetime.now(UTC) - timedelta(minutes=1)
    monkeypatch.setenv("AWS_CREDENTIAL_EXPIRATION", end.isoformat())
    plan = world.run("plan")
    assert plan.code == 1
    assert "the refreshed credentials are still expired" in plan.err
    assert "aws sso login" in plan.err


# ---------------------------------------------------------------- people


def test_who_has_not_said_yes_is_named_by_plan(world: World) -> None:
    asks = f"Warning: {ADDRESS} gets no mail yet"
    assert asks not in world.run("plan").err  # nobody was asked
    assert world.run("up").code == 0
    assert asks in world.run("plan").err
    world.click()
    assert asks not in world.run("plan").err


# ---------------------------------------------------------------- regions


@pytest.mark.parametrize("verb", ["plan", "up", "status"])
def test_a_home_region_that_is_not_enabled_is_one_sentence_and_a_command(
    world: World, verb: str
) -> None:
    world.use({**MAIL_ONLY, "region": CLOSED})
    ran = world.run(verb)
    assert ran.code == 1
    assert f"the region {CLOSED} is not enabled for this account" in ran.err
    assert f"aws account enable-region --region-name {CLOSED}" in ran.err


def test_a_region_that_was_enabled_takes_a_watch(world: World) -> None:
    world.use({**MAIL_ONLY, "region": CLOSED})
    world.client("account").enable_region(RegionName=CLOSED)
    assert world.run("up").code == 0


def test_keys_that_nobody_knows_are_not_taken_for_a_region(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIANOBODYSKEY000000")
    ran = world.run("plan")
    assert "not enabled" not in ran.err
    assert "InvalidClientTokenId" in ran.err


def test_a_further_region_that_is_not_enabled_stops_up(world: World) -> None:
    rules = [{"name": "ingress", "detection": "security-group-ingress"}]
    world.use({**MAIL_ONLY, "regions": [AWAY, CLOSED], "rules": rules})
    plan = world.run("plan")
    assert f"ctwatch up would stop: the region {CLOSED} is not enabled" in plan.err
    up, writes = written(world, "up")
    assert up.code == 1
    assert f"Error: the region {CLOSED} is not enabled for this account" in up.err
    assert AWAY not in up.err
    assert writes == []
    world.refuse = denying("ListRegions")
    plan = world.run("plan")
    world.refuse = lambda *_: None
    assert "not looked at, asking which regions the account has" in plan.err
    assert "would stop" not in plan.err
