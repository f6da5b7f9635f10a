"""Whatever comes in is dealt with: the targets of the fuzzer, with what it finds, if ever it does.

So far it has found nothing: what breaks a target goes into `fuzz/found/TARGET/`.
"""

import json
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from notifier_records import any_json
from trials import trials

sys.path.insert(0, str(Path(__file__).parent / "fuzz"))

from seeds import SEEDS, found
from targets import TARGETS


@pytest.mark.parametrize("target", TARGETS)
def test_what_is_right_breaks_no_target_nor_does_what_a_fuzzer_finds(target):
    for seed in (*SEEDS[target][:8], *found(target).values()):
        TARGETS[target](seed)


documents = any_json("@everyone`<!channel>\u202e{{x}}", "StopLogging").map(json.dumps)
NAMES = ["eventName", "eventID", "userIdentity", "requestParameters", "eventTime", "awsRegion"]
records = st.dictionaries(st.sampled_from(NAMES), any_json("@everyone", "x" * 300)).map(json.dumps)


@pytest.mark.parametrize("target", TARGETS)
@trials(60)
@given(text=records | documents | st.text())
def test_any_input_is_dealt_with(target, text):
    TARGETS[target](text.encode(errors="surrogatepass"))


def nested(levels):
    return '{"x":' * levels + "1" + "}" * levels


FULL = 256 * 1024
HUGE = {
    "256 KB in one field": json.dumps(
        {"eventName": "StopLogging", "errorMessage": "\u202e" * FULL}
    ),
    "256 KB of fields": json.dumps({f"k{n}": "@everyone" for n in range(FULL // 20)}),
    "256 KB of a name": json.dumps({"eventName": "\U0001f7e0" * (FULL // 12)}),
    "a flood of accents": json.dumps({"eventName": "e" + "\u0301" * 9999}),
    "a thousand levels": f'{{"eventName": "StopLogging", "requestParameters": {nested(1000)}}}',
    "a hundred thousand levels": nested(100_000),
    "an integer of ten thousand digits": '{"eventName": "x", "requestParameters": {"n": %s}}'
    % ("9" * 10_000),
}


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("text", HUGE.values(), ids=HUGE)
def test_what_is_huge_is_dealt_with_at_once(target, text):
    began = time.process_time()
    TARGETS[target](text.encode())
    assert time.process_time() - began < 5
