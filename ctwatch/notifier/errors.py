"""What the notifier raises. No text of it ever holds a secret.

NotifierError         Lambda counts it, tries again, and hands the event to the dead-letter queue
├── SettingsError     the function's environment is not as `ctwatch up` writes it
└── DeliveryError     a channel did not take the message
"""


class NotifierError(Exception):
    """The alert, or a part of it, did not reach its people."""


class SettingsError(NotifierError):
    """The environment says nothing, or nonsense, where the notifier cannot do without."""


class DeliveryError(NotifierError):
    """A channel did not take a message.

    Args:
        problem: one sentence without any secret in it.
        status: the HTTP status, when there was an answer.
    """

    def __init__(self, problem: str, status: int | None = None) -> None:
        super().__init__(problem)
        self.status = status
