"""The notifier's sources -> the zip that Lambda gets: the same bytes on every machine.

It reads the package `ctwatch/notifier` and nothing else, and writes nothing. The zip is what
drift of the function's code is measured by, so no clock, umask, operating system or version of
Python may show in it. What the notifier is to know of a user's own detections lies in it as
custom.json (see `ctwatch/notifier/custom.py`).
"""

import base64
import hashlib
import io
import zipfile
from pathlib import Path

_NOTIFIER = Path(__file__).parent / "notifier"
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest a zip can say
_UNIX = 3
# Lambda runs the code as another user, who must be able to read it:
# https://docs.aws.amazon.com/lambda/latest/dg/python-package.html
_READABLE = 0o100644 << 16


def bundle(source: Path = _NOTIFIER, custom: str = "") -> bytes:
    """The deployment package: the Python files of `source`, under its name.

    Stored, not deflated: what zlib writes differs between its versions.

    Args:
        source: the folder of a package.
        custom: the JSON of the user's own detections; "" for none.
    """
    buffer = io.BytesIO()
    files = {
        path.relative_to(source.parent).as_posix(): path.read_bytes().replace(b"\r\n", b"\n")
        for path in source.rglob("*.py")
    }
    if custom:
        files[f"{source.name}/custom.json"] = custom.encode()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for name, content in sorted(files.items()):
            archive.writestr(_entry(name), content)
    return buffer.getvalue()


def _entry(name: str) -> zipfile.ZipInfo:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.create_system = _UNIX
    entry.external_attr = _READABLE
    return entry


def code_sha256(data: bytes) -> str:
    """What Lambda will call CodeSha256 once `data` is the function's code.

    Base64 of the SHA-256 of the deployment package:
    https://docs.aws.amazon.com/lambda/latest/api/API_FunctionConfiguration.html
    """
    return base64.b64encode(hashlib.sha256(data).digest()).decode("ascii")
