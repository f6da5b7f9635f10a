"""A channel's webhook URL, kept as an SSM SecureString; seen here only as a fingerprint."""

from dataclasses import dataclass, field
from typing import ClassVar

from ctwatch.aws import Aws, unless
from ctwatch.diff import State
from ctwatch.permissions import Actions, allow
from ctwatch.resources.base import Live, Resource, owner, pairs
from ctwatch.secret import fingerprint

_GONE = ("ParameterNotFound", "InvalidResourceId")


@dataclass(frozen=True, kw_only=True, eq=False)
class Secret(Resource):
    """A SecureString parameter.

    Attributes:
        value: the secret, or None where the reference could not be resolved here; it is then not
            compared. Only `up` needs it.
    """

    value: str | None = field(repr=False)

    kind: ClassVar[str] = "secret"

    @property
    def confidential(self) -> tuple[str, ...]:
        """Its value."""
        return (self.value,) if self.value else ()

    @property
    def note(self) -> str:
        """Whether its value is compared."""
        return "" if self.value else "its value is not compared, as the config's is not at hand"

    @property
    def arn(self) -> str:
        """Its ARN; a parameter's name begins with a slash that the ARN has but once."""
        return self.place.arn("ssm", f"parameter{self.name}")

    @property
    def wanted(self) -> State:
        """Its type and, where it is known here, the fingerprint of its value."""
        state = {"type": "SecureString"}
        return {**state, "value": fingerprint(self.value)} if self.value else state

    @property
    def actions(self) -> Actions:
        """Nothing of KMS: AWS's own key lets whoever may use the parameter use it.

        https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssystemsmanager.html
        https://docs.aws.amazon.com/kms/latest/developerguide/services-parameter-store.html
        """
        mine = self.arn
        return Actions(
            read=(allow("ssm", "GetParameter ListTagsForResource", mine),),
            write=(allow("ssm", "PutParameter AddTagsToResource DeleteParameter", mine),),
            delete=(allow("ssm", "DeleteParameter", mine),),
            tampering=(allow("ssm", "DeleteParameters RemoveTagsFromResource", mine),),
        )

    def read(self, aws: Aws) -> Live | None:
        """Look at it, decrypted only when there is something to compare it with."""
        decrypt = self.value is not None
        found, tags = aws.together(
            lambda: unless(
                lambda: aws.ssm.get_parameter(Name=self.name, WithDecryption=decrypt), *_GONE
            ),
            lambda: unless(
                lambda: aws.ssm.list_tags_for_resource(
                    ResourceType="Parameter", ResourceId=self.name
                )["TagList"],
                *_GONE,
            ),
        )
        if found is None:
            return None
        parameter = found["Parameter"]
        state = {"type": parameter["Type"]}
        if decrypt:
            state["value"] = fingerprint(parameter["Value"])
        return Live(state, owner(tags), tags=pairs(tags))

    def write(self, aws: Aws, live: Live | None) -> None:
        """Create it with its tag, which SSM takes only without Overwrite; change it with that.

        SSM changes no parameter's type (HierarchyTypeMismatchException): such a one is made anew.
        https://docs.aws.amazon.com/systems-manager/latest/APIReference/API_PutParameter.html
        """
        value = self.value or ""
        retyped = live is not None and live.state["type"] != self.wanted["type"]
        if retyped:
            self.delete(aws)
        if live is None or retyped:
            aws.ssm.put_parameter(
                Name=self.name, Value=value, Type="SecureString", Tags=self.tag_list
            )
            return
        answer = aws.ssm.put_parameter(
            Name=self.name, Value=value, Type="SecureString", Overwrite=True
        )
        if answer.get("Version") == 1:  # it was deleted after it was looked at, and is a new one
            self.label(aws)

    def label(self, aws: Aws) -> None:
        """Put them on."""
        aws.ssm.add_tags_to_resource(
            ResourceType="Parameter", ResourceId=self.name, Tags=self.tag_list
        )

    def delete(self, aws: Aws) -> None:
        """Delete it."""
        unless(lambda: aws.ssm.delete_parameter(Name=self.name), *_GONE)
