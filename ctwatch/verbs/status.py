"""`ctwatch status`: would I be told right now?"""

import click

from ctwatch.verbs.common import Options, json_option, looked, watching


@click.command(short_help="Would I be told right now?")
@json_option
@watching
def status(options: Options) -> int:
    """Would I be told right now? One verdict, a line per hop, a remedy per fault.

    \b
    Exit code 0: ARMED.  3: not as promised.  1: AWS would not say.
    """  # noqa: D301 - \b is click's mark for lines that stay as they are
    from ctwatch.opening import opened
    from ctwatch.render import diagnosis_json, promised_view, status_view

    screen, watch = options.screen, opened(options.choice)
    with screen.working("Looking"):
        findings, diagnosis = looked(watch, ask=True)
    if options.as_json:
        screen.json(diagnosis_json(diagnosis))
    else:
        screen.data(*status_view(diagnosis))
        screen.data(*promised_view(findings) if options.verbose else ())
    return diagnosis.verdict.exit_code
