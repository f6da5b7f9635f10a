"""SECURITY.md promises nothing that no test holds, and says how to report without an address."""

import ast
import re
from pathlib import Path

HERE = Path(__file__).parent.parent
TEXT = (HERE / "SECURITY.md").read_text("utf-8")
PROMISED = TEXT.partition("## What is promised")[2].partition("\n## ")[0]
TEST = re.compile(r"`(tests/test_\w+\.py)::(test_\w+)`")


def rows() -> list[str]:
    """The promises, without the heads of their tables."""
    heads = ("| promise |", "|---|")
    lines = [line for line in PROMISED.splitlines() if line.startswith("|")]
    return [line for line in lines if not line.startswith(heads)]


def test_each_promise_names_a_test_that_is_there() -> None:
    assert len(rows()) > 12
    assert [row for row in rows() if not TEST.search(row)] == []
    named = TEST.findall(TEXT)
    assert [one for one in named if one[1] not in functions_of(one[0])] == []
    assert TEXT.count("::test_") == len(named)


def functions_of(file: str) -> set[str]:
    tree = ast.parse((HERE / file).read_text("utf-8"))
    return {one.name for one in tree.body if isinstance(one, ast.FunctionDef)}


def test_it_says_what_is_not_promised_what_is_supported_and_how_to_report() -> None:
    heads = re.findall(r"(?m)^## (.*)$", TEXT)
    assert heads == [
        *("What is promised", "What is not promised", "Supported versions"),
        "Report a vulnerability",
    ]
    assert "private vulnerability reporting" in TEXT
    assert not re.search(r"\S+@\S+\.\S+", TEXT)


def test_the_readme_leads_there_and_the_source_package_has_it() -> None:
    assert "](SECURITY.md)" in (HERE / "README.md").read_text("utf-8")
    assert '"SECURITY.md"' in (HERE / "pyproject.toml").read_text("utf-8")
