"""A stranger's text that tries everything, and how to see that it came to nothing."""

import re
import unicodedata

MARK = "MARKED"
FORGED = "FORGED"
_FLOOD = "e" + "\u0301" * 60
ACTING = (
    f"{MARK}\x1b[2J\x1b]0;owned\x07\x1b]8;;https://evil.example\x1b\\here\x1b]8;;\x1b\\\x9b31m\r\x08"
    "\u202e\u2066\u200b\u200d\u2060\ufeff\u00ad\u061c\U000e0041\u115f"
    f"\u2028\x85\n{FORGED} {_FLOOD}"
)
"""What would move a terminal, hide, turn the direction of reading, or make a line of its own."""
BROKEN = f"{ACTING}\udfff\ud800"
"""The same with halves of characters, which JSON can hold and no encoding."""
PINGING = (
    "@everyone @here <@1> <@&2> <#3> <!channel> <at>x</at> [a](https://evil.example) **b** "
    "{{DATE()}}"
)
"""What a channel would obey."""
_TERMINAL = {"Cc", "Cf", "Cs", "Zl", "Zp"}


def assert_safe_to_print(printed: str) -> None:
    """Nothing in what was printed acts, hides, or begins a line as if it were ours."""
    acting = {char for char in printed if unicodedata.category(char) in _TERMINAL} - {"\n"}
    assert {hex(ord(char)) for char in acting} == set(), printed
    assert not re.search(f"^{FORGED}", printed, re.MULTILINE), printed
    piled = re.search("[\u0301]{5}", printed)
    assert not piled, printed
