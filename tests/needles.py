"""What gives a webhook away, wherever it is found."""

import base64
import re
from functools import cache

_HALF = 16  # characters that give it away


@cache
def needles(secret: str) -> frozenset[str]:
    """What of a webhook's URL must occur nowhere: each long part of it, as it is or encoded."""
    found: set[str] = set()
    for part in re.findall(r"[\w-]{20,}", secret):
        middle = part[len(part) // 2 :] + part[: len(part) // 2]
        for one in (part, middle, part[::-1]):
            found |= {one[:_HALF], one[-_HALF:]}
        for shift in range(3):  # base64 of any text that it stands in
            coded = base64.b64encode(b"-" * shift + part.encode()).decode()
            found.add(coded[4 : 4 + _HALF])
    return frozenset(found)
