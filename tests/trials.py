"""How many examples hypothesis tries: in the ordinary run a third of what `.ci/run` tries."""

from hypothesis import settings


def trials(many: int) -> settings:
    """So many examples in `.ci/run`; each may take as long as it takes."""
    return settings(max_examples=many * settings().max_examples // 100, deadline=None)
