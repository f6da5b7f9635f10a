"""What the reader sees, made from values: lines, signs, breaks, and nothing a terminal obeys."""

import io
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from rich.console import Console
from rich.text import Text
from watch_world import PLAIN, planned

from ctwatch.blows import Blow, Proof, Rung
from ctwatch.detections import catalogue
from ctwatch.diagnose import Alarm, Diagnosis, Fault, Flow, Hop
from ctwatch.diff import MISSING, Difference
from ctwatch.errors import AwsError, CtwatchError, ForeignError
from ctwatch.findings import Action, Finding, Step
from ctwatch.render import (
    Hanging,
    Screen,
    blow_line,
    detection_view,
    detections_view,
    heading,
    ladder,
    panel,
    part_head,
    plan_summary,
    plan_view,
    show_steps,
    status_view,
    verdict_line,
    waiting_line,
)
from ctwatch.resources.base import Live
from ctwatch.simulate import Drill
from ctwatch.techniques import TECHNIQUES

WATCH = planned(PLAIN)
[PERSON] = WATCH.people
TRAIL, RULE, TOPIC = WATCH.trail, WATCH.rules[0], WATCH.topic


def lines(*what, width=80):
    """What is printed at a width; no line may end in blanks or be wider."""
    screen, printed = Screen(), io.StringIO()
    screen.out = Console(file=printed, width=width, highlight=False)
    screen.data(*what)
    found = printed.getvalue().splitlines()
    assert [line for line in found if line != line.rstrip()] == []
    assert [line for line in found if Text(line).cell_len > width] == []
    return found


def found(one, *differences, error=None, owner="ctwatch"):
    return Finding(one, Live({}, owner), differences, error)


def test_a_hanging_text_stands_behind_its_head():
    assert lines(Hanging(Text("head "), Text("one two three")), width=25) == ["head one two three"]
    assert lines(Hanging(Text("head "), Text("one two three four five six")), width=25) == [
        "head one two three four",
        "     five six",
    ]


def test_a_hanging_text_keeps_the_lines_it_was_given():
    assert lines(Hanging(Text("- "), Text("one\ntwo"))) == ["- one", "  two"]


def test_a_head_that_is_too_long_has_a_line_of_its_own():
    assert lines(Hanging(Text("a long head"), Text("body"), 4)) == ["a long head", "    body"]


def test_a_word_is_broken_only_when_it_fits_no_line():
    told = lines(Hanging(Text("- "), Text(f"short {'x' * 30} short")), width=24)
    assert told == ["- short", f"  {'x' * 22}", f"  {'x' * 8} short"]


def test_korean_takes_two_columns_a_letter():
    told = lines(Hanging(Text("- "), Text("추적 삭제 설정 변경 로깅 중지")), width=24)
    assert told == ["- 추적 삭제 설정 변경", "  로깅 중지"]


EVIL = "a\x1b]0;owned\x07b\x9b31mc\u202ed\r"


@pytest.mark.parametrize("show", ["data", "talk", "complain", "panel", "steps", "plan"])
def test_nothing_from_outside_is_obeyed_by_the_terminal(show, capsys):
    screen = Screen()
    error = CtwatchError(EVIL, EVIL)
    {
        "data": lambda: screen.data(EVIL, Text(EVIL)),
        "talk": lambda: screen.talk(EVIL),
        "complain": lambda: screen.complain(error),
        "panel": lambda: screen.data(panel("x", Text(EVIL))),
        "steps": lambda: show_steps(screen, [Step(TRAIL, Action.FAILED, error)], "Building"),
        "plan": lambda: screen.data(*plan_view([found(TRAIL, Difference(EVIL, EVIL, [EVIL]))])),
    }[show]()
    printed = "".join(capsys.readouterr())
    assert "owned" in printed
    assert not set(EVIL) - set("a]0;ownedb31mcd") & set(printed)


def test_what_looks_like_markup_is_shown_as_it_is(capsys):
    Screen().talk("[red]not red[/red]")
    Screen().data("[bold]x[/bold]")
    printed = capsys.readouterr()
    assert (printed.out, printed.err) == ("[bold]x[/bold]\n", "[red]not red[/red]\n")


def test_a_complaint_is_a_sentence_and_a_hint_or_a_sentence_alone(capsys):
    Screen(quiet=True).complain(CtwatchError("It broke.", "Mend it."))
    Screen(quiet=True).complain(CtwatchError("It broke."))
    assert capsys.readouterr().err == "Error: It broke.\nMend it.\nError: It broke.\n"


def test_columns_rule_a_pipe_and_without_them_no_line_is_broken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    Screen().talk("word " * 20)
    assert max(map(len, capsys.readouterr().err.splitlines())) <= 30
    monkeypatch.delenv("COLUMNS")
    Screen().talk("word " * 200)
    assert capsys.readouterr().err == f"{('word ' * 200).strip()}\n"


def test_a_link_is_never_broken(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "30")
    url = f"http://127.0.0.1/{'x' * 100}"
    Screen().link(url)
    assert capsys.readouterr().err == f"{url}\n"


def test_a_link_is_not_kept_quiet(capsys):
    Screen(quiet=True).link("http://127.0.0.1/confirm")
    assert capsys.readouterr().err == "http://127.0.0.1/confirm\n"


def test_a_frame_and_a_rule_are_at_most_100_columns_wide():
    told = lines(heading("Title"), panel("Mail", Text("word " * 100)), width=300)
    assert max(map(len, told)) == 100
    assert told[0].startswith("Title ───")
    assert told[1].startswith("╭─ Mail ──")


class Ascii(io.TextIOWrapper):
    """A stream that knows only ASCII."""

    def __init__(self):
        super().__init__(io.BytesIO(), "ascii", write_through=True)

    @property
    def text(self):
        return self.buffer.getvalue().decode("ascii")


def test_a_stream_without_the_signs_gets_plainer_ones(monkeypatch):
    with Ascii() as out, Ascii() as err:
        monkeypatch.setattr("sys.stdout", out)
        monkeypatch.setattr("sys.stderr", err)
        screen = Screen()
        screen.data("✓ ✗ · • → … ─ 추적")
        screen.data(panel("Mail", Text("x")))
        screen.json({"title": "추적"})
        screen.talk("✓")
        assert out.text.startswith("v x . * -> ... - ??\n+- Mail -+\n| x      |\n+--------+\n")
        assert r'"title": "\ucd94\uc801"' in out.text
        assert err.text == "v\n"


def test_no_other_error_of_a_codec_is_hidden():
    with pytest.raises(UnicodeDecodeError):
        b"\xff".decode("ascii", errors="ctwatch.plainly")


# Steps


def told_steps(capsys, *steps, verbose=False, clearing=False):
    done = show_steps(Screen(verbose=verbose), steps, "Working", clearing=clearing)
    return done, capsys.readouterr().err.splitlines()


def test_steps_are_told_as_they_end_and_only_those_that_did_something(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    state = Difference("logging", wanted=True, live=False)
    steps = [
        Step(TOPIC, Action.STARTED),
        Step(TOPIC, Action.CREATED),
        Step(TRAIL, Action.REPAIRED, differences=(state, replace(state, path="validation"))),
        Step(RULE, Action.KEPT),
        Step(WATCH.bucket, Action.KEPT),
        Step(WATCH.receipts, Action.SKIPPED),
        Step(RULE, Action.DELETED),
    ]
    done, told = told_steps(capsys, *steps)
    assert done == steps[1:]
    assert told == [
        "+ created  topic sns-cloudtrail-alarm",
        "~ repaired trail ct-trail-monitor: logging, validation",
        "- deleted  rule eventbridge-ct-detect",
    ]
    assert len(told_steps(capsys, *steps, verbose=True)[1]) == 6


@pytest.mark.parametrize("doing", ["looking at", "creating", "repairing", "deleting"])
def test_a_failed_step_says_why_without_saying_its_name_twice(capsys, doing):
    error = AwsError(f"{doing} {TRAIL.title}: StopLogging answered Odd: no", "Do this.")
    _, told = told_steps(capsys, Step(TRAIL, Action.FAILED, error))
    assert told == [
        "✗ failed   trail ct-trail-monitor: StopLogging answered Odd: no",
        "           Do this.",
    ]


def test_a_strangers_thing_is_explained_by_up_and_left_by_down(capsys):
    step = Step(TRAIL, Action.SKIPPED, ForeignError(f"{TRAIL.title} is not ours", "Rename."))
    assert told_steps(capsys, step)[1] == [
        "· skipped  trail ct-trail-monitor: is not ours",
        "           Rename.",
    ]
    assert told_steps(capsys, step, clearing=True)[1] == [
        "· skipped  trail ct-trail-monitor is not this watch's and stays"
    ]


# Plan

CHANGE = Difference("state", "ENABLED", "DISABLED")
CLICK = Difference("confirmed", wanted=True, live=False)


def test_a_plan_says_what_would_be_done_with_both_values():
    gone = Difference("pattern.detail", ["x"], MISSING)
    findings = [Finding(TRAIL), found(RULE, CHANGE, gone), found(TOPIC)]
    assert lines(*plan_view(findings)) == [
        "+ create   trail ct-trail-monitor",
        "~ change   rule eventbridge-ct-detect",
        "           state: DISABLED → ENABLED",
        '           pattern.detail: (absent) → ["x"]',
    ]
    assert lines(*plan_view(findings, verbose=True))[-1] == "= keep     topic sns-cloudtrail-alarm"
    assert plan_summary(findings) == "1 to create, 1 to change, 1 as promised."


def test_a_plan_says_what_could_not_be_compared():
    [secret] = planned(PLAIN, None).function.secrets
    assert secret.note
    assert lines(*plan_view([found(secret)], verbose=True), width=200) == [
        "= keep     secret /ctwatch/discord",
        f"           {secret.note}",
    ]


def test_a_plan_does_not_promise_what_only_a_person_can_do():
    findings = [found(PERSON, CLICK), found(TOPIC)]
    told = " ".join(" ".join(lines(*plan_view(findings))).split())
    assert told.startswith("! by hand subscription security@example.com confirmed: false → true")
    assert "ctwatch confirm 'LINK'" in told
    assert plan_summary(findings) == "Nothing to do: 1 by hand, 1 as promised."


def test_what_a_person_and_up_do_together_is_a_change_that_names_the_persons_part():
    both = [found(PERSON, CLICK, Difference("filter", None, {"a": 1}))]
    told = " ".join(" ".join(lines(*plan_view(both))).split())
    assert told.startswith("~ change subscription security@example.com")
    assert "ctwatch confirm 'LINK'" in told
    assert 'filter: {"a": 1} → null' in told
    assert plan_summary(both) == "1 to change."


def test_a_plan_shows_what_is_not_ours_and_what_aws_does_not_show():
    denied = AwsError(f"looking at {RULE.title}: DescribeRule answered AccessDenied: no")
    findings = [found(TRAIL, owner=None), Finding(RULE, error=denied)]
    assert lines(*plan_view(findings)) == [
        "! not ours trail ct-trail-monitor",
        "           lacks the tag ctwatch:watch=ctwatch",
        "? unknown  rule eventbridge-ct-detect",
        "           DescribeRule answered AccessDenied: no",
    ]
    assert plan_summary(findings) == "1 not ours, 1 unknown."


def test_a_long_value_is_cut_unless_all_is_asked_for():
    long = [found(RULE, Difference("pattern", "x" * 90, "y" * 60))]
    assert lines(*plan_view(long), width=300)[1].strip() == f"pattern: {'y' * 60} → {'x' * 59}…"
    shown = lines(*plan_view(long, verbose=True), width=300)[1]
    assert shown.strip() == f"pattern: {'y' * 60} → {'x' * 90}"


# Status


def fault(resource, path, sentence, remedy="ctwatch up"):
    return Fault(resource, path, sentence, remedy)


def diagnosis(*hops, verdict=Alarm.DEGRADED):
    return Diagnosis(verdict, hops, {"a": verdict})


@pytest.mark.parametrize("verdict", Alarm)
def test_every_verdict_says_what_it_means(verdict):
    [line] = lines(verdict_line(verdict))
    assert line.startswith(f"{verdict}  ")
    assert line.endswith(".")


def test_a_hop_says_its_first_fault_without_its_name_and_how_many_more():
    faults = (
        fault("rule r", "state", "rule r: state: disabled"),
        fault("rule r", "pattern", "rule r: pattern was changed"),
    )
    told = lines(*status_view(diagnosis(Hop("rule", "r", Flow.CUT, faults[0].sentence, faults))))
    assert told == [
        "DEGRADED  You would still be told, but something is not as promised.",
        "✗ rule r state: disabled (and 1 more)",
        "",
        "• rule r: state: disabled",
        "• rule r: pattern was changed",
        "→ ctwatch up",
    ]


def test_faults_stand_together_by_what_mends_them_in_the_order_of_the_way():
    faults = [
        fault("a", "", "a is gone"),
        fault("b", "", "b waits", "Click."),
        fault("c", "", "c is gone"),
        fault("d", "", "d cannot be mended", ""),
    ]
    hops = [Hop(one.resource, one.resource, Flow.WORN, one.sentence, (one,)) for one in faults]
    told = lines(*status_view(diagnosis(*hops)))
    assert told[-6:] == ["• a is gone", "• c is gone", "→ ctwatch up", "• b waits", "→ Click.",
                         "• d cannot be mended"]  # fmt: skip


@pytest.mark.parametrize("flow", Flow)
def test_every_flow_has_a_sign_of_its_own(flow):
    told = lines(*status_view(diagnosis(Hop("events", "EventBridge", flow, "said"))))
    assert told[1] == f"{'✓!?✗'[list(Flow).index(flow)]} events EventBridge said"


def test_a_name_that_leaves_no_room_has_a_line_of_its_own():
    long = "x" * 64
    hops = [Hop("topic", "t", Flow.OK, "fine"), Hop("rule", long, Flow.OK, "enabled")]
    told = lines(*status_view(diagnosis(*hops)))
    assert told[1:] == [f"✓ topic t{' ' * 34}fine", f"✓ rule {long}", f"{' ' * 43}enabled"]


def test_the_missing_click_names_whose_it_is():
    one = fault("subscription me@example.org", "confirmed", "x", "Follow the link.")
    assert lines(waiting_line(one), width=80) == [
        "Only a click is missing: me@example.org has not followed the link in the",
        "confirmation mail. Follow the link.",
    ]


# Drills

AT = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
BLOW = Blow(TECHNIQUES["stop-logging"], "ctwatch-probe-1", AT, "r", "TrailNotFoundException")
PROVEN = tuple(Rung(hop, Proof.PROVEN, 8.3, by=True) for hop in ("recorded", "matched", "topic"))
FUNCTION = Rung("function", Proof.PROVEN, 8.94)
WAY = "recorded, matched, topic: by +8.3 s"
DISCORD = Rung("discord", Proof.PROVEN, 9.12, note="200")
INBOX = Rung("security@example.com", Proof.UNPROVABLE, note="confirmed, handed to SNS")


def test_a_ladder_is_the_one_that_was_promised():
    assert lines(*ladder(Drill(BLOW, (*PROVEN, FUNCTION, DISCORD, INBOX)), 600), width=100) == [
        "stop-logging  proven",
        f"  called 12:00:00 UTC ─ {WAY} ─ function +8.9 s ─ discord 200 +9.1 s",
        "  security@example.com: confirmed, handed to SNS",
    ]


def test_a_ladder_breaks_between_its_hops():
    told = lines(*ladder(Drill(BLOW, (*PROVEN, FUNCTION, DISCORD)), 600), width=57)
    assert told[1:] == [
        "  called 12:00:00 UTC",
        f"  ─ {WAY} ─ function +8.9 s",
        "  ─ discord 200 +9.1 s",
    ]
    assert all(len(line) <= 57 for line in told)


def test_a_ladder_holds_even_where_hardly_anything_fits():
    told = lines(*ladder(Drill(BLOW, (FUNCTION,)), 600), width=20)
    assert " ".join(" ".join(told).split()).endswith("called 12:00:00 UTC ─ function +8.9 s")


def test_a_hop_that_fits_no_line_is_broken_between_words():
    silent = Rung("discord", Proof.SILENT, note="403: " + "refused " * 12)
    told = lines(*ladder(Drill(BLOW, (silent,)), 600), width=40)
    assert told[0] == "stop-logging  not proven"
    assert told[2] == "  ─ ✗ discord: not proven within 600 s"


def test_what_was_not_proven_is_said_once_for_all_with_the_same_reason():
    silent = (Rung("function", Proof.SILENT), Rung("discord", Proof.SILENT), DISCORD)
    refused = Rung("slack", Proof.SILENT, note="403")
    told = lines(*ladder(Drill(BLOW, (*PROVEN, *silent, refused)), 0.5), width=200)
    assert told[1].endswith(
        "discord 200 +9.1 s ─ ✗ function, discord: not proven within 0.5 s ─ "
        "✗ slack: not proven within 0.5 s (403)"
    )


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ("TrailNotFoundException", "no such trail, nothing was harmed"),
        ("AccessDenied", "AWS answered AccessDenied, nothing was harmed"),
        ("", "it succeeded, which no probe may: the drill failed"),
    ],
)
def test_a_blow_says_what_was_called_and_how_it_ended(answer, said):
    line = f"called StopLogging on ctwatch-probe-1: {said}"
    assert lines(blow_line(replace(BLOW, answer=answer)), width=200) == [line]


# Catalogue


@pytest.mark.parametrize("language", ["en", "ko"])
def test_the_catalogue_is_a_table_that_hangs_in_its_last_column(language):
    one = catalogue()["trail-tampering"]
    other = replace(one, id="x", title={language: "word " * 30})
    told = lines(*detections_view([one, other], language), width=100)
    column = told[0].index("what")
    assert told[1][column:] == one.title[language]
    assert all(line[column:].startswith("word") for line in told[2:])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        ("home", "the trail's home region"),
        ("us-east-1", "us-east-1 only"),
        ("every-region", "the region of the call"),
    ],
)
def test_a_detection_says_where_it_can_be_seen(where, said):
    [part] = catalogue()["trail-tampering"].parts
    one = replace(catalogue()["trail-tampering"], parts=(replace(part, where=where),))
    told = lines(*detection_view(one, "en"), width=100)
    assert f"Severity critical, seen in {said}. MITRE ATT&CK T1562.008, T1685.002." in told
    assert lines(part_head(one.parts[0])) == ["Event pattern"]


def test_one_of_several_parts_says_where_each_of_them_can_be_seen():
    one = catalogue()["trail-reconfiguration"]
    told = lines(*detection_view(one, "en"), *map(part_head, one.parts), width=100)
    both = "the trail's home region and the region of the call"
    assert any(line.startswith(f"Severity medium, seen in {both}.") for line in told)
    assert "Event pattern: trail, seen in the trail's home region" in told
    assert "Event pattern: regional, seen in the region of the call" in told
