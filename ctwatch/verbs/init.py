"""`ctwatch init`: a config to begin with."""

from pathlib import Path

import click

from ctwatch.errors import CtwatchError
from ctwatch.verbs.common import AS_PROMISED, spoken


@click.command(short_help="Write a commented config.yaml.")
@click.option(
    "-c",
    "--config",
    type=click.Path(path_type=Path),
    default="config.yaml",
    envvar="CTWATCH_CONFIG",
    show_default=True,
    help="Where to write it.",
)
@click.option("--defaults", is_flag=True, help="Ask nothing.")
def init(config: Path, defaults: bool) -> int:
    """Write a commented config.yaml; never over one that is there.

    The alerts speak the language of the terminal; with --defaults they are Korean.
    """
    from ctwatch.start import PROPOSED, example, fresh

    if config.exists():
        raise CtwatchError(f"{config} is there already", "Edit it, or name another with --config.")
    text = example()
    if not defaults:
        text = fresh(text, spoken(), **{key: _answer(key) for key in PROPOSED})
    try:
        with config.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        raise CtwatchError(f"{config} cannot be written: {error.strerror}") from error
    click.echo(
        f"Wrote {config}. See that each secret is where it says, then: ctwatch plan", err=True
    )
    return AS_PROMISED


_QUESTIONS = {
    "region": "Home region of the trail",
    "email": "Who gets mail (several with commas)",
    "webhook": "Where the webhook's URL is (env:NAME, ssm:/path or file:path)",
}


def _answer(key: str) -> str:
    """Ask until the answer is one that the config takes."""
    from ctwatch.errors import ConfigError
    from ctwatch.start import PROPOSED, check_answer

    def right(value: str) -> str:
        try:
            check_answer(key, value)
        except ConfigError as error:
            raise click.UsageError(error.problem) from None
        return value

    answer: str = click.prompt(_QUESTIONS[key], default=PROPOSED[key], value_proc=right, err=True)
    return answer
