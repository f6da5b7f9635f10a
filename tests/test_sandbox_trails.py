"""CloudTrail's own rules, seen with boto3 over the wire."""

from datetime import timedelta

import pytest
from moto.cloudtrail.models import cloudtrail_backends
from sandbox_stand_ins import (
    ACCOUNT,
    SEOUL,
    VIRGINIA,
    bucket_policy,
    client,
    code,
    front,
    make_bucket,
    make_trail,
    refused,
)


@pytest.fixture(scope="module")
def running():
    with front() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running):
    running.reset()
    return running


@pytest.fixture
def cloudtrail(sandbox):
    return client(sandbox, "cloudtrail")


def test_a_trail_needs_a_bucket_that_exists(cloudtrail):
    assert refused(cloudtrail.create_trail, Name="watched", S3BucketName="nobody") == (
        "S3BucketDoesNotExistException",
        "S3 bucket nobody does not exist!",
    )


def test_a_trail_needs_a_bucket_policy(sandbox, cloudtrail):
    client(sandbox, "s3", VIRGINIA).create_bucket(Bucket="bare-bucket")
    assert refused(cloudtrail.create_trail, Name="watched", S3BucketName="bare-bucket") == (
        "InsufficientS3BucketPolicyException",
        "Incorrect S3 bucket policy is detected for bucket: bare-bucket",
    )


@pytest.mark.parametrize(
    ("since", "validated", "digest"),
    [
        (timedelta(minutes=59), True, None),
        (timedelta(hours=2, minutes=30), True, timedelta(hours=2)),
        (timedelta(hours=2, minutes=30), False, None),
    ],
)
def test_a_trail_that_logs_has_a_digest_of_each_hour(sandbox, cloudtrail, since, validated, digest):
    make_trail(sandbox, "watched", EnableLogFileValidation=validated)
    cloudtrail.start_logging(Name="watched")
    own = cloudtrail_backends[ACCOUNT][SEOUL].trails["watched"].status
    own.started -= since
    status = cloudtrail.get_trail_status(Name="watched")
    expected = status["StartLoggingTime"] + digest if digest else None
    assert status.get("LatestDigestDeliveryTime") == expected


@pytest.mark.parametrize(
    "policy",
    [
        bucket_policy("logs-of-ours", "another"),
        bucket_policy("logs-of-ours", "watched", prefix="elsewhere/"),
        bucket_policy("logs-of-ours", "watched", region=VIRGINIA),
        bucket_policy("logs-of-ours", "watched").replace("s3:GetBucketAcl", "s3:GetBucketTagging"),
        bucket_policy("logs-of-ours", "watched").replace("s3:PutObject", "s3:GetObject"),
        bucket_policy("logs-of-ours", "watched").replace("cloudtrail.amaz", "config.amaz"),
    ],
)
def test_a_bucket_policy_must_let_cloudtrail_in_for_this_trail(sandbox, cloudtrail, policy):
    make_bucket(sandbox)
    client(sandbox, "s3").put_bucket_policy(Bucket="logs-of-ours", Policy=policy)
    assert (
        code(cloudtrail.create_trail, Name="watched", S3BucketName="logs-of-ours")
        == "InsufficientS3BucketPolicyException"
    )


def test_a_key_prefix_is_part_of_what_the_policy_must_allow(sandbox, cloudtrail):
    make_bucket(sandbox)
    wanted = {"Name": "watched", "S3BucketName": "logs-of-ours", "S3KeyPrefix": "deep"}
    assert code(cloudtrail.create_trail, **wanted) == "InsufficientS3BucketPolicyException"
    policy = bucket_policy("logs-of-ours", "watched", prefix="deep/")
    client(sandbox, "s3").put_bucket_policy(Bucket="logs-of-ours", Policy=policy)
    assert cloudtrail.create_trail(**wanted)["S3KeyPrefix"] == "deep"


def test_an_update_checks_the_bucket_that_the_trail_will_have(sandbox, cloudtrail):
    make_trail(sandbox)
    client(sandbox, "s3").delete_bucket_policy(Bucket="watched-logs")
    assert code(cloudtrail.update_trail, Name="watched") == "InsufficientS3BucketPolicyException"
    make_bucket(sandbox, "second-logs")
    told = cloudtrail.update_trail(Name="watched", S3BucketName="second-logs")
    assert told["S3BucketName"] == "second-logs"


def test_a_second_trail_of_a_name_is_refused_and_the_first_stays(sandbox, cloudtrail):
    make_trail(sandbox, IsMultiRegionTrail=True)
    assert refused(cloudtrail.create_trail, Name="watched", S3BucketName="watched-logs") == (
        "TrailAlreadyExistsException",
        f"Trail watched already exists for customer: {ACCOUNT}",
    )
    assert cloudtrail.get_trail(Name="watched")["Trail"]["IsMultiRegionTrail"]
    assert cloudtrail.get_trail_status(Name="watched")["IsLogging"]


@pytest.mark.parametrize(
    "name",
    ["ab", "a" * 129, "my..trail", "my-_trail", "-mine", "mine-", "my trail"],
)
def test_a_name_that_no_trail_can_have_is_refused(cloudtrail, name):
    assert (
        code(cloudtrail.create_trail, Name=name, S3BucketName="any-bucket")
        == "InvalidTrailNameException"
    )
    assert code(cloudtrail.stop_logging, Name=name) == "InvalidTrailNameException"


def test_a_trail_is_not_named_like_an_ip_address(cloudtrail):
    assert refused(cloudtrail.create_trail, Name="192.168.5.4", S3BucketName="any-bucket") == (
        "InvalidTrailNameException",
        "Trail name must not be formatted as an IP address.",
    )


@pytest.mark.parametrize("name", ["abc", "a" * 128, "my.trail-of_ours", "1.2.3"])
def test_a_name_that_a_trail_can_have_is_only_not_found(cloudtrail, name):
    assert refused(cloudtrail.stop_logging, Name=name) == (
        "TrailNotFoundException",
        f"Unknown trail: arn:aws:cloudtrail:{SEOUL}:{ACCOUNT}:trail/{name} for the user: {ACCOUNT}",
    )


@pytest.mark.parametrize(
    "operation",
    ["start_logging", "delete_trail", "update_trail", "get_trail", "get_trail_status"],
)
def test_every_operation_says_when_there_is_no_such_trail(cloudtrail, operation):
    assert code(getattr(cloudtrail, operation), Name="absent") == "TrailNotFoundException"
    arn = f"arn:aws:cloudtrail:{SEOUL}:{ACCOUNT}:trail/absent"
    assert code(getattr(cloudtrail, operation), Name=arn) == "TrailNotFoundException"
    assert (
        code(getattr(cloudtrail, operation), Name="arn:aws:sns:x")
        == "CloudTrailARNInvalidException"
    )


def test_a_multi_region_trail_includes_global_events(sandbox, cloudtrail):
    make_bucket(sandbox)
    wanted = {"Name": "watched", "S3BucketName": "logs-of-ours", "IsMultiRegionTrail": True}
    without = {"IncludeGlobalServiceEvents": False}
    refusal = (
        "InvalidParameterCombinationException",
        "Multi-Region trail must include global service events.",
    )
    assert refused(cloudtrail.create_trail, **wanted, **without) == refusal
    cloudtrail.create_trail(**wanted)
    assert refused(cloudtrail.update_trail, Name="watched", **without) == refusal


def test_the_sixth_trail_of_a_region_is_refused_and_shadows_count(sandbox, cloudtrail):
    names = [f"trail-{number}" for number in range(6)]
    make_bucket(sandbox, trails=names)
    make_trail(sandbox, "shadow", region=VIRGINIA, IsMultiRegionTrail=True)
    for name in names[:4]:
        cloudtrail.create_trail(Name=name, S3BucketName="logs-of-ours")
    assert refused(cloudtrail.create_trail, Name=names[4], S3BucketName="logs-of-ours") == (
        "MaximumNumberOfTrailsExceededException",
        f"User: {ACCOUNT} already has 5 trails in {SEOUL}.",
    )


def test_an_arn_does_for_a_name_everywhere(sandbox, cloudtrail):
    arn = make_trail(sandbox)
    cloudtrail.stop_logging(Name=arn)
    assert not cloudtrail.get_trail_status(Name=arn)["IsLogging"]
    cloudtrail.start_logging(Name=arn)
    assert cloudtrail.get_trail_status(Name="watched")["IsLogging"]
    told = cloudtrail.update_trail(Name=arn, EnableLogFileValidation=True)
    assert told["LogFileValidationEnabled"]
    assert cloudtrail.get_trail(Name=arn)["Trail"]["HomeRegion"] == SEOUL
    assert cloudtrail.get_event_selectors(TrailName=arn)["TrailARN"] == arn
    cloudtrail.delete_trail(Name=arn)
    assert cloudtrail.describe_trails()["trailList"] == []


def test_a_trail_is_changed_only_at_home(sandbox):
    arn = make_trail(sandbox, IsMultiRegionTrail=True)
    away = client(sandbox, "cloudtrail", VIRGINIA)
    for name in ("watched", arn):
        for operation in ("stop_logging", "start_logging", "delete_trail", "update_trail"):
            assert code(getattr(away, operation), Name=name) == "InvalidHomeRegionException"
    selectors = [{"ReadWriteType": "All"}]
    assert (
        code(away.put_event_selectors, TrailName=arn, EventSelectors=selectors)
        == "InvalidHomeRegionException"
    )


def test_a_single_region_trail_is_not_found_by_name_elsewhere(sandbox):
    make_trail(sandbox)
    away = client(sandbox, "cloudtrail", VIRGINIA)
    assert code(away.stop_logging, Name="watched") == "TrailNotFoundException"


def test_a_shadow_trail_is_read_by_its_arn(sandbox):
    arn = make_trail(sandbox, IsMultiRegionTrail=True)
    away = client(sandbox, "cloudtrail", VIRGINIA)
    assert away.get_trail_status(Name=arn)["IsLogging"]
    assert away.get_trail(Name=arn)["Trail"]["HomeRegion"] == SEOUL
    assert code(away.get_trail_status, Name="watched") == "TrailNotFoundException"


def test_describe_trails_gives_those_asked_for(sandbox, cloudtrail):
    first = make_trail(sandbox, "first-trail", IsMultiRegionTrail=True)
    make_trail(sandbox, "second-trail")
    away = client(sandbox, "cloudtrail", VIRGINIA)

    def names(where, **params):
        return [one["Name"] for one in where.describe_trails(**params)["trailList"]]

    assert names(cloudtrail) == ["first-trail", "second-trail"]
    assert names(cloudtrail, trailNameList=["second-trail"]) == ["second-trail"]
    assert names(cloudtrail, trailNameList=[first]) == ["first-trail"]
    assert names(cloudtrail, trailNameList=["absent"]) == []
    assert names(away) == ["first-trail"]
    assert names(away, includeShadowTrails=False) == []


def test_a_new_trail_logs_all_management_events(sandbox, cloudtrail):
    arn = make_trail(sandbox)
    told = cloudtrail.get_event_selectors(TrailName="watched")
    assert told["TrailARN"] == arn
    assert "AdvancedEventSelectors" not in told
    assert told["EventSelectors"] == [
        {
            "ReadWriteType": "All",
            "IncludeManagementEvents": True,
            "DataResources": [],
            "ExcludeManagementEventSources": [],
        }
    ]
    assert not cloudtrail.get_trail(Name="watched")["Trail"]["HasCustomEventSelectors"]


def test_one_kind_of_event_selectors_replaces_the_other(sandbox, cloudtrail):
    make_trail(sandbox)
    advanced = [
        {"Name": "ours", "FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
    ]
    cloudtrail.put_event_selectors(TrailName="watched", AdvancedEventSelectors=advanced)
    told = cloudtrail.get_event_selectors(TrailName="watched")
    assert told["AdvancedEventSelectors"] == advanced
    assert "EventSelectors" not in told
    assert cloudtrail.get_trail(Name="watched")["Trail"]["HasCustomEventSelectors"]
    basic = [{"ReadWriteType": "WriteOnly"}]
    said = cloudtrail.put_event_selectors(TrailName="watched", EventSelectors=basic)
    told = cloudtrail.get_event_selectors(TrailName="watched")
    assert said["EventSelectors"] == told["EventSelectors"]
    assert told["EventSelectors"][0]["IncludeManagementEvents"]
    assert "AdvancedEventSelectors" not in told
    listed = cloudtrail.describe_trails()["trailList"][0]
    assert listed["HasCustomEventSelectors"]


@pytest.mark.parametrize(
    "selectors",
    [
        {},
        {"EventSelectors": [{"ReadWriteType": "All"}] * 6},
        {
            "EventSelectors": [{"ReadWriteType": "All"}],
            "AdvancedEventSelectors": [
                {"FieldSelectors": [{"Field": "eventCategory", "Equals": ["Management"]}]}
            ],
        },
    ],
)
def test_event_selectors_that_make_no_sense_are_refused(sandbox, cloudtrail, selectors):
    make_trail(sandbox)
    assert (
        code(cloudtrail.put_event_selectors, TrailName="watched", **selectors)
        == "InvalidEventSelectorsException"
    )


def test_insight_selectors_are_replaced_not_added_to(sandbox, cloudtrail):
    make_trail(sandbox)
    refusal = "InsightNotEnabledException"
    assert code(cloudtrail.get_insight_selectors, TrailName="watched") == refusal
    for kind in ("ApiCallRateInsight", "ApiErrorRateInsight"):
        wanted = [{"InsightType": kind}]
        cloudtrail.put_insight_selectors(TrailName="watched", InsightSelectors=wanted)
        told = cloudtrail.get_insight_selectors(TrailName="watched")
        assert told["InsightSelectors"] == wanted
    assert cloudtrail.get_trail(Name="watched")["Trail"]["HasInsightSelectors"]
    cloudtrail.put_insight_selectors(TrailName="watched", InsightSelectors=[])
    assert code(cloudtrail.get_insight_selectors, TrailName="watched") == refusal


def test_tags_belong_to_a_trail_that_exists_and_go_with_it(sandbox, cloudtrail):
    tags = [{"Key": "ctwatch:watch", "Value": "one"}]
    arn = make_trail(sandbox, TagsList=tags)
    assert cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"][0]["TagsList"] == tags
    cloudtrail.delete_trail(Name="watched")
    assert code(cloudtrail.list_tags, ResourceIdList=[arn]) == "ResourceNotFoundException"
    assert code(cloudtrail.add_tags, ResourceId=arn, TagsList=tags) == "ResourceNotFoundException"
    assert code(cloudtrail.list_tags, ResourceIdList=["watched"]) == "CloudTrailARNInvalidException"
    cloudtrail.create_trail(Name="watched", S3BucketName="watched-logs")
    assert cloudtrail.list_tags(ResourceIdList=[arn])["ResourceTagList"][0]["TagsList"] == []


def test_a_log_group_for_the_trail_must_exist_and_so_must_its_role(sandbox, cloudtrail):
    make_bucket(sandbox)
    group = f"arn:aws:logs:{SEOUL}:{ACCOUNT}:log-group:trail-log:*"
    role = f"arn:aws:iam::{ACCOUNT}:role/absent"
    wanted = {"Name": "watched", "S3BucketName": "logs-of-ours", "CloudWatchLogsRoleArn": role}

    def attempt(arn):
        return code(cloudtrail.create_trail, **wanted, CloudWatchLogsLogGroupArn=arn)

    assert attempt("nonsense") == "InvalidCloudWatchLogsLogGroupArnException"
    assert attempt(group) == "InvalidCloudWatchLogsLogGroupArnException"
    client(sandbox, "logs").create_log_group(logGroupName="trail-log")
    assert attempt(group) == "InvalidCloudWatchLogsRoleArnException"


THEIRS = f"arn:aws:cloudtrail:{VIRGINIA}:210987654321:trail/everybody"


def test_a_member_sees_an_organization_s_trail_and_may_not_change_it(sandbox, cloudtrail):
    sandbox.join_organization(THEIRS, "their-logs")
    [seen] = cloudtrail.describe_trails()["trailList"]
    assert (seen["TrailARN"], seen["IsOrganizationTrail"]) == (THEIRS, True)
    assert cloudtrail.get_trail_status(Name=THEIRS)["IsLogging"]
    home = client(sandbox, "cloudtrail", VIRGINIA)
    for call in (
        lambda: home.stop_logging(Name=THEIRS),
        lambda: home.delete_trail(Name=THEIRS),
        lambda: cloudtrail.get_event_selectors(TrailName=THEIRS),
    ):
        assert code(call) == "CloudTrailARNInvalidException"


def test_an_organization_s_trail_takes_one_of_five_places(sandbox, cloudtrail):
    sandbox.join_organization(THEIRS, "their-logs")
    for number in range(4):
        make_trail(sandbox, f"trail-{number}")
    make_bucket(sandbox, "one-more", "trail-4")
    full = refused(cloudtrail.create_trail, Name="trail-4", S3BucketName="one-more")
    assert full[0] == "MaximumNumberOfTrailsExceededException"
