"""`ctwatch history`: what the detections would have fired on, and who did what."""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import UTC, datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from ctwatch.verbs.common import (
    AS_PROMISED,
    COULD_NOT,
    NOT_AS_PROMISED,
    Options,
    config_option,
    json_option,
    spoken,
)

if TYPE_CHECKING:
    from ctwatch.config import Config, RuleConfig
    from ctwatch.delivered import Deliveries
    from ctwatch.detections import Detection, Names
    from ctwatch.digests import Looked
    from ctwatch.errors import CtwatchError
    from ctwatch.history.catalogue import Asked
    from ctwatch.history.gaps import Gap
    from ctwatch.history.questions import Condition, Question
    from ctwatch.history.records import Seen
    from ctwatch.history.search import Finding, Searching
    from ctwatch.history.sources import Source
    from ctwatch.history.statements import Scope
    from ctwatch.history.tally import Tally
    from ctwatch.history.told import Past
    from ctwatch.opening import Opened

_LANGUAGES = ("en", "ko")


@dataclass(frozen=True)
class Where:
    """Where to look, as the options say.

    Attributes:
        places: folders and files; or "lookup", "bucket" or "athena" alone.
        since: what was typed, or None.
        until: the same.
        regions: none for all.
        cache: where to keep what is fetched, or None.
        sql: whether to print Athena's statement, and to ask nobody.
        language: of what is shown, or None for the reader's.
    """

    places: tuple[str, ...]
    since: str | None
    until: str | None
    regions: tuple[str, ...]
    cache: Path | None
    sql: bool
    language: Literal["en", "ko"] | None

    @property
    def tongue(self) -> Literal["en", "ko"]:
        """The language."""
        return self.language or spoken()


def _looking(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command the options of all that look at the past, as `Options` and `Where`."""

    @click.option(
        "--from",
        "places",
        multiple=True,
        metavar="WHERE",
        default=("lookup",),
        show_default=True,
        help="lookup: CloudTrail's own event history, of every region. bucket: the log bucket of "
        "the watch's trail. athena: the same bucket, read by Athena, which costs $5 a terabyte. "
        "Else a folder of log files, or a file; may be given several times.",
    )
    @click.option(
        "--since",
        metavar="WHEN",
        help="2h, 90d or 2w ago; or 2026-11-21, or 2026-11-21T14:00.  "
        "[default: 90d; of files, all]",
    )
    @click.option("--until", metavar="WHEN", help="The same; that moment counts no more.")
    @click.option(
        "--region",
        "regions",
        metavar="REGION",
        multiple=True,
        help="Only what was recorded there; may be given several times.",
    )
    @click.option(
        "--cache",
        metavar="FOLDER",
        type=click.Path(path_type=Path, file_okay=False),
        help="With --from bucket: keep the files there, and fetch none twice.",
    )
    @click.option("--sql", is_flag=True, help="Print the statement for Athena, and ask nothing.")
    @click.option("--language", type=click.Choice(_LANGUAGES), default=None, help="en or ko.")
    @json_option
    @config_option
    @click.option("--profile", metavar="NAME", help="AWS profile; else what the environment says.")
    @click.option("-q", "--quiet", is_flag=True, help="Print data and complaints only.")
    @click.option("-v", "--verbose", is_flag=True, help="Also name each file that was not read.")
    @functools.wraps(command)
    def wrapped(**given: Any) -> Any:
        where = Where(**{one.name: given.pop(one.name) for one in fields(Where)})
        names = [one.name for one in fields(Options) if one.name in given]
        options = Options(**{one: given.pop(one) for one in names}, region=None)
        return command(options, where, **given)

    return wrapped


@click.group(
    invoke_without_command=True,
    short_help="What would have fired in the past, and who did what.",
)
@click.option(
    "--detection",
    "wanted",
    metavar="ID",
    multiple=True,
    help="Only this one; may be given several times.  [default: all]",
)
@click.option(
    "--html",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as a page for a browser, too, that needs nothing but itself.",
)
@_looking
@click.pass_context
def history(
    context: click.Context,
    options: Options,
    where: Where,
    wanted: tuple[str, ...],
    html: Path | None,
) -> int:
    """How often each detection would have fired in the past, on which days, and for whom.

    So that you know it before you switch one on: how often, the last three, the noisiest actors,
    and what an `except` in the config would leave out. What lies in files is read on this machine
    alone; AWS is asked only by --from lookup, at two calls a second in each region, by --from
    bucket, and by --from athena, which says beforehand what it costs.

    \b
    ctwatch history --since 30d               of CloudTrail's event history
    ctwatch history --from logs/              of files that lie in a folder
    ctwatch history ask root --from bucket    a question: ctwatch history ask -h
    ctwatch history ask denied --sql          for Athena, to run it yourself

    \b
    Exit code 0: done.  1: AWS would not say, or something could not be read.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    if context.invoked_subcommand is not None:
        return AS_PROMISED
    return _past(options, where, wanted, html)


def _past(options: Options, where: Where, wanted: Sequence[str], html: Path | None) -> int:
    from ctwatch.history.told import Past, past_json
    from ctwatch.retold import not_asked_lines, past_view

    if where.sql:
        return _tally_statement(options, where, wanted)
    if html:
        _check_place(html)
    look = _opened(options, where)
    asked = _asked(look, wanted)
    tallies = _tallies(asked, look.zone)
    keys = [*((one.id, "") for one, _ in asked.questions), *(one[:2] for one in asked.rules)]
    seen = _search(
        options,
        look,
        [*(one for _, one in asked.questions), *(one for _, _, one in asked.rules)],
        lambda one: tallies[keys[one.question]].add(one),
    )
    told = {one.id: tallies[one.id, ""] for one in asked.detections}
    rules: dict[str, dict[str, int]] = {}
    for one, rule, _ in asked.rules:
        rules.setdefault(one, {})[rule] = told[one].count - tallies[one, rule].count
    past = Past(look.source.what, look.since, look.until, look.zone, asked, seen, told, rules)
    screen = options.screen
    if options.as_json:
        screen.json(past_json(past))
    else:
        screen.data(*past_view(past, where.tongue))
        for line in not_asked_lines(past):
            screen.talk(line)
    code = _end(options, look, seen)
    if html:
        _write(html, past, where.tongue)
        screen.talk(f"Written: {html}")
    return code


def _check_place(file: Path) -> None:
    """Make sure that a file can be written there, before much time goes into it.

    Raises:
        CtwatchError: it cannot.
    """
    unfinished = _unfinished(file)
    try:
        unfinished.touch()
        unfinished.unlink()
    except OSError as error:
        raise _unwritable(file, error) from error


def _unfinished(file: Path) -> Path:
    return file.with_name(f".{file.name}.unfinished")


def _unwritable(file: Path, error: OSError) -> "CtwatchError":
    from ctwatch.errors import CtwatchError

    return CtwatchError(f"--html: {file} cannot be written: {error.strerror}")


def _write(file: Path, past: "Past", language: Literal["en", "ko"]) -> None:
    """Write the page, whole or not at all.

    Raises:
        CtwatchError: the file cannot be written.
    """
    from ctwatch.history.page import page

    unfinished = _unfinished(file)
    try:
        unfinished.write_text(page(past, language), "utf-8")
        unfinished.replace(file)
    except OSError as error:
        raise _unwritable(file, error) from error


def _tallies(asked: "Asked", zone: tzinfo) -> "dict[tuple[str, str], Tally]":
    """By a detection's id and the name of a rule, or "" for the detection itself."""
    from ctwatch.history.questions import WHO_DID
    from ctwatch.history.tally import Tally

    columns = tuple(one.name for one in WHO_DID)
    return {
        **{(one.id, ""): Tally(columns, zone) for one in asked.detections},
        **{one[:2]: Tally(columns, zone, keep=0) for one in asked.rules},
    }


@dataclass(frozen=True)
class Look:
    """A source that is opened.

    Attributes:
        source: it.
        since: the first moment that counts; None for all.
        until: the first that counts no more; None for all.
        zone: of days and times.
        known: the detections, by id.
        names: what the words in patterns stand for; None where no watch is known.
        regions: none for all.
        holds: whether the source tells what a question goes by.
        rules: of the config.
        sifted: whether the source hands on only what a search may mean.
    """

    source: "Source"
    since: datetime | None
    until: datetime | None
    zone: tzinfo
    known: "Mapping[str, Detection]"
    names: "Names | None"
    regions: tuple[str, ...]
    holds: "Callable[[Question], bool]" = lambda _: True
    rules: "Sequence[RuleConfig]" = ()
    sifted: "Callable[[Searching], bool]" = lambda _: False


def _opened(options: Options, where: Where, *, hours: bool = False) -> Look:
    """Open what --from says.

    Args:
        options: of the command.
        where: it says so.
        hours: whether hours are to be counted, too.

    Raises:
        CtwatchError: it cannot be, or what reads records is not installed.
    """
    from ctwatch import times
    from ctwatch.history.records import check_installed

    check_installed()
    for given, option in ((where.since, "--since"), (where.until, "--until")):
        if given is not None:
            times.read(given, option)  # before AWS is asked anything
    remote = {"lookup", "bucket", "athena"}.intersection(where.places)
    if remote and len(where.places) > 1:
        raise click.UsageError(f"--from {min(remote)} stands alone.")
    if where.cache and "bucket" not in remote:
        raise click.UsageError("--cache goes with --from bucket.")
    return _of_aws(options, where, hours=hours) if remote else _of_files(options, where)


def _zone(config: "Config | None") -> tzinfo:
    """The time zone in which a reader of the alerts lives."""
    from zoneinfo import ZoneInfo

    return ZoneInfo(config.alerts.timezone) if config else UTC


def _of_aws(options: Options, where: Where, *, hours: bool) -> Look:
    """Open the event history, or the log bucket, of the account that a watch is in."""
    from ctwatch.history.lookup import KEPT
    from ctwatch.opening import opened

    watch = opened(options.choice)
    aws, zone = watch.aws, _zone(watch.config)
    for one in where.regions:
        _check_region(one, aws.regions())
    now = aws.time()
    since, until = _times(where, now, zone, KEPT)
    span = _span(since, until, now)
    with options.screen.working("Looking what there is"):
        names = _owned(watch)
        source = _REMOTE[where.places[0]](_Asking(options, where, span, hours), watch)
    known, rules = watch.config.known, watch.config.rules
    sifted = _SIFTED[where.places[0]]
    return Look(source, *span, zone, known, names, where.regions, _holding(where), rules, sifted)


def _owned(watch: "Opened") -> "Names":
    """What the words in patterns stand for in the account that a watch is in."""
    from ctwatch.listening import names_of

    keys = {one.name: arn for one in watch.watch.keys if (arn := one.found(watch.aws))}
    return names_of(watch.config, watch.watch.place, keys, watch.existing)


def _check_region(name: str, known: Sequence[str]) -> None:
    """Make sure that an account has a region.

    Raises:
        ConfigError: it has none of that name.
    """
    from ctwatch.config import nearest
    from ctwatch.errors import ConfigError

    if name not in known:
        near = nearest(name, known)
        hint = f"Did you mean {near}?" if near else f"There are {', '.join(known)}."
        raise ConfigError(f"--region: the account has no region {name!r} enabled", hint)


_Span = tuple[datetime, datetime]


@dataclass(frozen=True)
class _Asking:
    """What AWS is asked for: the options, the time, and whether hours are to be counted."""

    options: Options
    where: Where
    span: _Span
    hours: bool


def _holding(where: Where) -> "Callable[[Question], bool]":
    from ctwatch.history.sql import asked

    if "athena" in where.places or where.sql:
        return lambda question: not asked(question).unknown
    return lambda _: True


def _lookup(asking: _Asking, watch: "Opened") -> "Source":
    from ctwatch.history.lookup import Lookup

    return Lookup(watch.aws, asking.where.regions or watch.aws.regions(), *asking.span)


def _delivered(watch: "Opened") -> "Deliveries":
    """Where the trail delivers, or has delivered until it was deleted."""
    from ctwatch.delivered import deliveries

    own = watch.watch
    kept = own.bucket.name if own.bucket else ""
    return deliveries(own.trail.arn, own.place.account, watch.aws, kept)


def _bucket(asking: _Asking, watch: "Opened") -> "Source":
    from ctwatch.history.bucket import bucket

    delivered = _delivered(watch)
    where, (since, until) = asking.where, asking.span
    return bucket(
        watch.aws, delivered, since=since, until=until, regions=where.regions, cache=where.cache
    )


def _athena(asking: _Asking, watch: "Opened") -> "Source":
    """Athena, of which is said beforehand what it is going to read, and what was made for it."""
    from ctwatch.history import athena

    place, aws = watch.watch.place, watch.aws
    delivered = _delivered(watch)
    labels = dict(watch.config.tags)
    logs = athena.Logs.of(delivered, place, watch.watch.name, aws.regions(), labels)
    scope = athena.scoped(logs, *asking.span, asking.where.regions)
    estimate = athena.scan_estimate(logs, aws, scope)
    source = athena.Athena(logs, aws, scope, estimate, queries=2 if asking.hours else 1)
    talk = asking.options.screen.talk
    talk(source.forecast)
    for title in athena.prepare(logs, aws) if estimate.files else ():
        talk(f"Made for it: {title}. It costs nothing, and ctwatch down removes it.")
    return source


_REMOTE: "Mapping[str, Callable[[_Asking, Opened], Source]]" = {
    "athena": _athena,
    "bucket": _bucket,
    "lookup": _lookup,
}
_SIFTED: "Mapping[str, Callable[[Searching], bool]]" = {
    "athena": lambda searching: not searching.search.hours,
    "bucket": lambda _: False,
    "lookup": lambda searching: searching.named is not None,
}


# What Athena would be asked


def _tally_statement(options: Options, where: Where, wanted: Sequence[str]) -> int:
    """Print the statement that counts the detections by day."""
    from ctwatch.history import statements
    from ctwatch.history.catalogue import asked
    from ctwatch.opening import opened

    watch = opened(options.choice)
    found = asked(_chosen(watch.config.known, wanted), _owned(watch), (), _holding(where))
    detections: dict[str, list[Question]] = {}
    for detection, question in found.questions:
        detections.setdefault(detection.id, []).append(question)
    scope = _scope(where, watch.config, watch.aws.time())
    options.screen.statement(statements.tally(scope, detections))
    return AS_PROMISED


def _answer_statement(options: Options, where: Where, question: "Question") -> int:
    """Print the statement that answers a question; for that AWS is not asked for anything."""
    from ctwatch.config import load
    from ctwatch.history import statements

    scope = _scope(where, load(options.config), datetime.now(UTC))
    options.screen.statement(statements.answer(scope, question))
    return AS_PROMISED


def _gaps_statements(options: Options, where: Where) -> int:
    """Print the statement that counts the records of each hour, and that which tells the stops."""
    from ctwatch.config import load
    from ctwatch.history import statements
    from ctwatch.history.questions import stops

    scope = _scope(where, load(options.config), datetime.now(UTC))
    options.screen.statement(f"{statements.hours(scope)};\n")
    options.screen.statement(f"{statements.answer(scope, stops())};")
    return AS_PROMISED


def _scope(where: Where, config: "Config", now: datetime) -> "Scope":
    from ctwatch.history.lookup import KEPT
    from ctwatch.history.statements import Scope
    from ctwatch.resources.athena import table_name

    since, until = _times(where, now, _zone(config), KEPT)
    return Scope(table_name(config.name), *_span(since, until, now), where.regions)


def _span(
    since: datetime | None, until: datetime | None, now: datetime
) -> tuple[datetime, datetime]:
    """Both ends of it; AWS tells whole seconds, and what has just happened counts, too."""
    from ctwatch.history.lookup import KEPT

    return since or now - KEPT, until or now + timedelta(seconds=1)


def _of_files(options: Options, where: Where) -> Look:
    from ctwatch.history.folder import account, listed
    from ctwatch.history.sources import Files

    config = _config(options)
    zone = _zone(config)
    since, until = _times(where, datetime.now(UTC), zone, None)
    found = listed([Path(one) for one in where.places], since, until, where.regions)
    whose = account(found.files) if config else ""
    filled = config.filled(account=whose) if config and whose else config
    names = _names(filled, whose) if filled and whose else None
    source = Files(", ".join(where.places), found)
    known, rules = _known(filled), filled.rules if filled else ()
    return Look(source, since, until, zone, known, names, where.regions, rules=rules)


def _config(options: Options) -> "Config | None":
    """The config; None where none was named and none is there: files can be read without."""
    from ctwatch.config import load

    given = click.get_current_context().get_parameter_source("config")
    if given is click.core.ParameterSource.DEFAULT and not options.config.exists():
        return None
    return load(options.config)


def _known(config: "Config | None") -> "Mapping[str, Detection]":
    from ctwatch.detections import catalogue

    return config.known if config else catalogue()


def _names(config: "Config", account: str) -> "Names":
    """What a watch of the config, filled for an account, owns there."""
    from ctwatch.aws import Place
    from ctwatch.listening import names_of, partition_of

    return names_of(config, Place(partition_of(config.region), account, config.region))


def _times(
    where: Where, now: datetime, zone: tzinfo, default: timedelta | None
) -> tuple[datetime | None, datetime | None]:
    """From when until when.

    Raises:
        ConfigError: that is no time.
    """
    from ctwatch import times
    from ctwatch.errors import ConfigError

    since = now - default if default else None
    until = None
    if where.since is not None:
        since = times.begin(times.read(where.since), now, zone)
    if where.until is not None:
        until = times.begin(times.read(where.until, "--until"), now, zone, "--until")
    if since and until and since >= until and where.since is None:
        begins = f"{since:%Y-%m-%d}, where it begins if no --since is given"
        raise ConfigError(f"--until: that is before {begins}", "Name a --since before it.")
    if since and until and since >= until:
        raise ConfigError("--until: that is not after --since", "Swap them.")
    return since, until


def _asked(look: Look, wanted: Sequence[str]) -> "Asked":
    """The detections that are asked about.

    Raises:
        ConfigError: there is none of such a name.
    """
    from ctwatch.history.catalogue import asked

    chosen = _chosen(look.known, wanted)
    return asked(chosen, look.names, _regional(look), look.holds, rules=look.rules)


def _chosen(known: "Mapping[str, Detection]", wanted: Sequence[str]) -> "dict[str, Detection]":
    from ctwatch.verbs.detections import named

    return {one.id: one for one in (named(each, known) for each in wanted or known)}


def _search(
    options: Options,
    look: Look,
    questions: "Sequence[Question]",
    take: "Callable[[Finding], None]",
    *,
    hours: bool = False,
) -> "Seen":
    """Go through the source, and hand on what is found."""
    from ctwatch.history.questions import Between
    from ctwatch.history.records import Seen
    from ctwatch.history.search import Search, Searching
    from ctwatch.history.sources import Files

    # By the hours it is known of which regions there are records.
    hours = hours or (bool(look.regions) and isinstance(look.source, Files))
    early, late = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    span = Between.of(look.since or early, look.until or late)
    since, until = span.since if look.since else "", span.until if look.until else ""
    search = Search(tuple(questions), since, until, hours)
    seen, done = Seen(), 0.0
    with (
        Searching(search, look.source.size) as searching,
        options.screen.estimating(f"Reading {look.source.what}", look.source.total) as tell,
    ):
        for progress, found in look.source.through(searching):
            seen |= found.seen
            for one in found.findings:
                take(one)
            done += progress
            tell(done)
        seen.sifted = look.sifted(searching)
    return seen


def _end(options: Options, look: Look, seen: "Seen") -> int:
    """Say what was gone through, and what could not be.

    Returns:
        The exit code.
    """
    from ctwatch.retold import is_loss, seen_line, troubles_view

    for sentence, loss in troubles_view(seen, whole=options.verbose):
        options.screen.talk(sentence, "yellow" if loss else "")
    doubts = [*look.source.doubts, *_unseen(look, seen)]
    for line in doubts:
        options.screen.talk(line, "yellow")
    for line in look.source.notes:
        options.screen.talk(line)
    options.screen.talk(seen_line(seen, look.source.what, look.zone))
    amiss = doubts or any(map(is_loss, seen.troubles))
    return COULD_NOT if amiss else AS_PROMISED


def _unseen(look: Look, seen: "Seen") -> list[str]:
    """The regions that were asked for and of which files hold no record; nobody else knows them."""
    from ctwatch.config import nearest
    from ctwatch.history.sources import Files

    if not isinstance(look.source, Files):
        return []
    found = {region for region, _ in seen.hours}
    near = {one: nearest(one, found | look.source.listing.regions) for one in look.regions}
    return [
        f"No record of region {one}." + f" Did you mean {near[one]}?" * (near[one] not in {"", one})
        for one in look.regions
        if one not in found
    ]


# The standing questions


@history.group(short_help="Ask who did what.")
def ask() -> None:
    """Who did what: the standing questions, of whatever records there are.

    Each takes the same options: ctwatch history ask root --help
    """


def _answered(options: Options, where: Where, question: "Question", *more: "Condition") -> int:
    """Put a question, and print the answer."""
    from ctwatch.history.tally import Rows
    from ctwatch.history.told import answer_json
    from ctwatch.retold import answer_view

    if where.sql:
        return _answer_statement(options, where, question.only(*more))
    look = _opened(options, where)
    question = question.only(*more, *_regional(look))
    answer, screen = Rows(question), options.screen
    seen = _search(options, look, [question], answer.add)
    if options.as_json:
        screen.json(answer_json(answer, look.source.what, seen))
    else:
        screen.data(*answer_view(answer, look.zone, where.tongue))
        if not answer.count:
            screen.talk("No record of that.")
        if answer.left_out:
            screen.talk(f"{answer.left_out:,} more are not told: there are too many.", "yellow")
    return _end(options, look, seen)


def _regional(look: Look) -> "tuple[Condition, ...]":
    from ctwatch.history.questions import Within

    return (Within(look.regions),) if look.regions else ()


@ask.command("who-terminated", short_help="Who terminated an instance.")
@click.argument("instance", metavar="INSTANCE")
@_looking
def _who_terminated(options: Options, where: Where, instance: str) -> int:
    """Who terminated an instance (i-0abc…), or tried to."""
    from ctwatch.history.questions import who_terminated

    return _answered(options, where, who_terminated(_id(instance, "i-", "INSTANCE")))


@ask.command("who-changed-security-group", short_help="Who changed a security group.")
@click.argument("group", metavar="ID")
@_looking
def _who_changed(options: Options, where: Where, group: str) -> int:
    """Who changed a security group (sg-0abc…): its rules, their descriptions, itself."""
    from ctwatch.history.questions import who_changed_security_group

    return _answered(options, where, who_changed_security_group(_id(group, "sg-", "ID")))


def _id(text: str, start: str, name: str) -> str:
    """An id, as it begins.

    Raises:
        click.BadParameter: it does not.
    """
    if not text.startswith(start) or not text.removeprefix(start).isalnum():
        raise click.BadParameter(f"{text!r} is no id that begins with {start}.", param_hint=name)
    return text


@ask.command("outside", short_help="What came from addresses that are not yours.")
@click.option(
    "--allow",
    "networks",
    metavar="CIDR",
    multiple=True,
    required=True,
    help="An address or a network that is yours; may be given several times.",
)
@_looking
def _outside(options: Options, where: Where, networks: tuple[str, ...]) -> int:
    """What came from addresses outside of these, by whom and how often.

    Calls that AWS's services make name a service for an address, and are not told.
    """
    from ctwatch.history.questions import outside

    return _answered(options, where, outside([_network(one) for one in networks]))


def _network(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_network(text))
    except ValueError as error:
        near = _masked(text)
        meant = f" Did you mean {near}?" if near else ""
        raise click.BadParameter(f"{error}.{meant}", param_hint="'--allow'") from None


def _masked(text: str) -> str:
    """The network in which an address lies that is written with its length; "" for no such."""
    import ipaddress

    try:
        return str(ipaddress.ip_network(text, strict=False))
    except ValueError:
        return ""


@ask.command("denied", short_help="What was denied for want of permission.")
@click.option("--by", metavar="ARN", default="", help="Only to this user, role or session.")
@_looking
def _denied(options: Options, where: Where, by: str) -> int:
    """What was denied for want of permission, to whom and how often."""
    from ctwatch.history.questions import denied

    return _answered(options, where, denied(_arn(by) if by else ""))


def _arn(text: str) -> str:
    if not text.startswith("arn:"):
        example = "arn:aws:iam::123456789012:role/deploy"
        raise click.BadParameter(f"{text!r} is no ARN such as {example}.")
    return text


@ask.command("failed-logins", short_help="The sign-ins to the console that failed.")
@_looking
def _failed_logins(options: Options, where: Where) -> int:
    """The sign-ins to the console that failed."""
    from ctwatch.history.questions import failed_logins

    return _answered(options, where, failed_logins())


@ask.command("root", short_help="What the root user did.")
@_looking
def _root(options: Options, where: Where) -> int:
    """What the root user did, reading too."""
    from ctwatch.history.questions import root

    return _answered(options, where, root())


@ask.command("actor", short_help="What somebody did around a time.")
@click.argument("arn", metavar="ARN")
@click.option("--around", metavar="WHEN", required=True, help="2026-11-21T14:00, or 2h ago.")
@click.option(
    "--within", metavar="SPAN", default="1h", show_default=True, help="How far before and after."
)
@_looking
def _actor(options: Options, where: Where, arn: str, around: str, within: str) -> int:
    """What a user, a role or a session did around a time, one thing after the other."""
    from ctwatch import times
    from ctwatch.errors import ConfigError
    from ctwatch.history.questions import actor

    given, reach = times.read(around, "--around"), times.read(within, "--within")
    if not isinstance(reach, timedelta):
        raise ConfigError(f"--within: {within!r} is no span of time", "Say 30m, 1h or 2d.")
    config = _config(options)
    zone = _zone(config)
    now = datetime.now(UTC)
    moment, reach = times.begin(given, now, zone, "--around"), min(reach, _FAR)
    return _answered(options, _near(where, moment, reach, now), actor(_arn(arn), moment, reach))


_FAR = timedelta(days=365)


def _near(where: Where, moment: datetime, reach: timedelta, now: datetime) -> Where:
    """No further than a question reaches, where nothing else was said."""
    since, until = moment - reach, moment + reach + timedelta(seconds=1)
    return replace(
        where,
        since=since.isoformat() if where.since is None else where.since,
        until=until.isoformat() if where.until is None and until < now else where.until,
    )


@ask.command("event", short_help="One event, whole.")
@click.argument("event_id", metavar="EVENT_ID")
@_looking
def _event(options: Options, where: Where, event_id: str) -> int:
    """The event of an id, as an alert names it: its record, whole."""
    from ctwatch.history.questions import one_event

    return _answered(options, where, one_event(event_id))


@ask.command("gaps", short_help="When nothing was recorded.")
@_looking
def _gaps(options: Options, where: Where) -> int:
    """When nothing was recorded: hours without a record, what stopped the logging, broken digests.

    A region counts by itself where most of its hours have records, while it had any. Calls that
    stopped a trail or left it less to record are gaps; those that began one are told, too. The
    digest files are checked with --from bucket alone, as that takes every log file.

    \b
    Exit code 0: no gap.  3: there is one.  1: not all could be found out.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from ctwatch.history.gaps import ends_logging, gaps, succeeded
    from ctwatch.history.questions import stops
    from ctwatch.history.tally import Rows
    from ctwatch.history.told import gaps_json
    from ctwatch.retold import gaps_view

    if where.sql:
        return _gaps_statements(options, where)
    look = _opened(options, where, hours=True)
    question = replace(stops().only(*_regional(look)), whole=True)
    stopped, screen = Rows(question), options.screen

    def take(one: "Finding") -> None:
        if succeeded(one.record or {}):
            stopped.add(one)

    seen = _search(options, look, [question], take, hours=True)
    counted = {
        (region, hour): count
        for (region, hour), count in seen.hours.items()
        if not look.regions or region in look.regions
    }
    found = gaps(counted, look.since, look.until)
    ended = any(ends_logging(one.record or {}) for one in stopped.rows)
    digests, unknown = _digests(look)
    if options.as_json:
        screen.json(gaps_json(found, stopped, digests, look.source.what, seen))
    else:
        screen.data(*gaps_view(found, stopped, digests or (), look.zone, where.tongue))
        if not (found or ended or digests):
            screen.talk("No gap.")
    _tell_unbegun(options, look, found, counted)
    if digests is None:
        screen.talk("Digest files are not checked: that takes every log file, --from bucket.")
    for one in unknown:
        screen.talk(one, "yellow")
    code = _end(options, look, seen)
    if code or unknown:
        return code or COULD_NOT
    return NOT_AS_PROMISED if found or ended or digests else AS_PROMISED


def _tell_unbegun(
    options: Options, look: Look, found: "Sequence[Gap]", counted: Mapping[tuple[str, str], int]
) -> None:
    """Say of a gap before the first record that it may be none."""
    from ctwatch.history.gaps import unbegun

    if early := unbegun(found, counted):
        first = early.end.astimezone(look.zone)
        options.screen.talk(
            f"Nothing is recorded before {first:%Y-%m-%d %H:%M %Z}. If that is when the trail "
            f"was made, it is no gap: ask with --since {early.end:%Y-%m-%dT%H:%MZ}."
        )


def _digests(look: Look) -> "tuple[list[Looked] | None, list[str]]":
    """What is amiss with the digest files, None where nobody looks, and what they do not tell."""
    from ctwatch.delivered import reports
    from ctwatch.history.bucket import Bucket

    source = look.source
    if not (isinstance(source, Bucket) and look.since and look.until):
        return None, []
    found = [
        one
        for one in reports(source.where, source.aws, look.since, look.until)
        if not look.regions or one.region in look.regions
    ]
    faults = {each: None for one in found for each in one.faults}
    return list(faults), [one.unknown for one in found if one.unknown]
