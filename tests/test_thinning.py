"""What the ordinary run takes every n-th of is there: a renamed test would be taken whole."""

from pathlib import Path

import pytest
from conftest import EVERY_NTH


@pytest.mark.parametrize("named", EVERY_NTH)
def test_what_is_thinned_out_is_there(named: str) -> None:
    file, _, name = named.partition("::")
    text = (Path(__file__).parent / f"test_{file}").read_text("utf-8")
    assert f"def {name}(" in text
