"""The door to AWS, for what needs one: a secret in SSM, a message to SNS.

botocore takes longer to import than all the rest of the function, and boto3 half as long again on
top of it. So it is botocore that is asked, and imported then and not before: a function whose
secrets are in its environment starts without it.
"""

import os
import threading
from typing import Any

_LOCK = threading.Lock()  # a session is not for several threads at once


def client(service: str, region: str = "") -> Any:
    """A client that gives up in time: two tries of four seconds leave the channel its five.

    https://docs.aws.amazon.com/boto3/latest/guide/clients.html#multithreading-or-multiprocessing-with-clients

    Args:
        service: "ssm" or "sns".
        region: the function's own when empty.
    """
    with _LOCK:
        import botocore.session  # noqa: PLC0415 - see the module's docstring
        from botocore.config import Config  # noqa: PLC0415 - as above

        patience = Config(
            connect_timeout=2, read_timeout=2, retries={"mode": "standard", "total_max_attempts": 2}
        )
        where = region or os.environ.get("AWS_REGION")
        return botocore.session.Session().create_client(service, region_name=where, config=patience)


def failures() -> tuple[type[Exception], ...]:
    """What a call of a client raises."""
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 - as above

    return BotoCoreError, ClientError


def code(error: Exception) -> str:
    """The error's code as AWS gave it, or the name of what went wrong on the way there."""
    answer = getattr(error, "response", None) or {}
    return str(answer.get("Error", {}).get("Code") or type(error).__name__)
