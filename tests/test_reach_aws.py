"""As `test_reach`, where the endpoints are AWS's own and the webhooks are real ones."""

import re
from pathlib import Path

import pytest
from fenced import fenced, world_of_aws_itself
from watch_world import DISCORD, ELSEWHERE

from ctwatch.sandbox.server import Sandbox


@pytest.mark.exhaustive
def test_where_aws_is_real_nobody_is_asked_but_aws_and_the_hosts_of_the_config(
    running: Sandbox, tmp_path: Path
) -> None:
    webhooks = {
        "DISCORD_WEBHOOK_URL": "https://discord.com/api/webhooks/1/abc",
        "WEBHOOK_URL": "https://hooks.example.invalid/abc",
    }
    channels = [*DISCORD, {"type": "webhook", "url": "env:WEBHOOK_URL"}]
    with world_of_aws_itself(running, tmp_path, webhooks) as (world, hosts):
        world.use({**ELSEWHERE, "channels": channels, "regions": ["eu-west-1"]})
        for line, code in {"plan": 0, "up": 0, "status": 3, "alerts": 0, "down --yes": 0}.items():
            with fenced() as beyond:
                ran = world.run(*line.split())
            assert ran.code == code, ran.text
            asked = {one.rpartition(" ")[2] for one in beyond}
            assert asked <= {"discord.com", "hooks.example.invalid"}
            assert ("discord.com" in asked) is (line in {"up", "status"})
    assert {"https://sts.ap-northeast-2.amazonaws.com", "https://iam.amazonaws.com"} < hosts
    assert any("us-east-1" in one for one in hosts)
    others = [one for one in hosts if not re.fullmatch(r"https://[\w.-]+\.amazonaws\.com", one)]
    assert others == []
