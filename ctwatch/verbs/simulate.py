"""`ctwatch simulate`: strike, and prove that the alert arrived."""

from typing import TYPE_CHECKING, Any

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    NOT_AS_PROMISED,
    Options,
    json_option,
    looked,
    watching,
)

if TYPE_CHECKING:
    from ctwatch.opening import Opened


@click.command(short_help="Strike, and prove that the alert arrived.")
@click.argument("techniques", nargs=-1, metavar="TECHNIQUE...")
@click.option("--list", "listing", is_flag=True, help="Show the techniques there are, and stop.")
@click.option(
    "--on",
    "target",
    type=click.Choice(["probe"]),
    default="probe",
    show_default=True,
    help="What is struck: something that does not exist, so that nothing can be harmed.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(min=0.1),
    metavar="SECONDS",
    help="How long to wait for the proof.  [default: 600]",
)
@json_option
@watching
def simulate(
    options: Options, techniques: tuple[str, ...], listing: bool, target: str, timeout: float | None
) -> int:
    """Strike, and prove hop by hop that the alert arrived.

    TECHNIQUE is the name of one (stop-logging), of a detection (trail-tampering), which means all
    of its techniques, or all: every one that the watch listens for.

    What no harmless call brings about, such as a root login, is SYNTHETIC: AWS tests the rule's
    pattern, and an event that is made up, and says so, goes the rest of the way.
    """
    from ctwatch.listening import check_striker
    from ctwatch.opening import opened
    from ctwatch.simulate import DEFAULT_TIMEOUT
    from ctwatch.techniques import ALL, chosen

    del target  # the only choice there is
    if listing:
        return _list_techniques(options)
    if not techniques:
        raise click.UsageError("Name a TECHNIQUE. What there is: ctwatch simulate --list")
    limit = DEFAULT_TIMEOUT if timeout is None else timeout
    chosen(techniques)  # a slip of the fingers is told before AWS is asked
    watch = opened(options.choice)
    listened = list(dict.fromkeys(rule.detection for rule in watch.watch.rules))
    drills = chosen(techniques, listened)
    struck = dict.fromkeys(one.detection for one in drills)
    if any(rule.excepted.actors for rule in watch.config.rules):
        called = {one.detection for one in drills if one.kind == "probe"}
        check_striker(watch.config, sorted(called), watch.aws.caller())
    if ALL in techniques and (left := [one for one in listened if one not in struck]):
        options.screen.talk(f"No technique, and so no proof: {', '.join(left)}.", "yellow")
    if deaf := [one for one in struck if one not in listened]:
        options.screen.talk(f"No rule of this watch listens for {', '.join(deaf)}.", "yellow")
    return _drill(options, watch, drills, limit)


def _list_techniques(options: Options) -> int:
    from ctwatch.render import technique_json, techniques_view
    from ctwatch.techniques import TECHNIQUES

    known = list(TECHNIQUES.values())
    if options.as_json:
        options.screen.json([technique_json(one) for one in known])
    else:
        options.screen.data(*techniques_view(known))
    return AS_PROMISED


def _drill(options: Options, watch: "Opened", techniques: list[Any], limit: float) -> int:
    from ctwatch.diagnose import Alarm
    from ctwatch.render import blow_line, drill_json, ladder, verdict_line
    from ctwatch.simulate import Blow, Drill, drill

    screen = options.screen
    findings, diagnosis = looked(watch)
    if diagnosis.verdict not in {Alarm.ARMED, Alarm.DEGRADED}:
        screen.talk(verdict_line(diagnosis.verdict))
        screen.talk(
            f"ctwatch status tells what mends that; until then, {limit:g} s may pass in vain.",
            "yellow",
        )
    ended: list[Drill] = []
    with screen.working(f"Waiting for the proof, at most {limit:g} s"):
        for one in drill(techniques, watch.watch, findings, watch.aws, limit):
            if isinstance(one, Blow):
                screen.talk(blow_line(one))
            else:
                ended.append(one)
                if not options.as_json:
                    screen.data(*ladder(one, limit))
    if options.as_json:
        screen.json([drill_json(one) for one in ended])
    if all(one.proven for one in ended):
        return AS_PROMISED
    screen.talk("Not every hop was proven. What may be the cause: ctwatch status", "yellow")
    return NOT_AS_PROMISED
