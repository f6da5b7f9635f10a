"""What the quick loader reads is what botocore's own reads; it looks into fewer folders for it."""

import gzip
import json
import os
from pathlib import Path

import pytest
from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import Loader, create_loader

from ctwatch.aws import _SERVICES
from ctwatch.models import Models

KINDS = ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2")
ASKED = (*_SERVICES, "account", "resourcegroupstaggingapi")


@pytest.fixture(scope="module")
def botocores():
    return create_loader(None)


def read(loader: Loader, *named: str) -> str:
    """What it finds, the order of members included, or what it says where there is nothing."""
    try:
        return json.dumps(loader.load_service_model(*named))
    except DataNotFoundError as error:
        return f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("service", ASKED)
def test_a_service_is_described_as_botocore_describes_it(service, botocores):
    quick = Models(None)
    for kind in KINDS:
        assert read(quick, service, kind) == read(botocores, service, kind), kind


@pytest.mark.parametrize("name", ["endpoints", "partitions", "sdk-default-configuration", "_retry"])
def test_so_is_what_belongs_to_no_service(name, botocores):
    assert json.dumps(Models(None).load_data(name)) == json.dumps(botocores.load_data(name))


@pytest.mark.parametrize(
    "named",
    [
        ("no-such-service", "service-2"),
        ("sts", "waiters-2"),  # it has none
        ("sts", "service-2", "1999-01-01"),
    ],
)
def test_what_is_not_there_is_missed_as_botocore_misses_it(named, botocores):
    told = read(Models(None), *named)
    assert told == read(botocores, *named)
    assert told.startswith((DataNotFoundError.__name__, UnknownServiceError.__name__))


def test_no_folder_of_another_service_is_looked_into(monkeypatch):
    looked, look = [], os.listdir
    monkeypatch.setattr("os.listdir", lambda path: looked.append(Path(path)) or look(path))
    Models(None).load_service_model("sts", "service-2")
    assert {one.name for one in looked} == {"sts"}


OWN = {"version": "2.0", "metadata": {"serviceId": "Mine"}, "operations": {}, "shapes": {}}


def kept(folder: Path, service: str, version: str, *, packed: bool = False) -> Path:
    """A description of the user's own."""
    file = folder / service / version / f"service-2.json{'.gz' * packed}"
    file.parent.mkdir(parents=True)
    text = json.dumps(OWN).encode()
    file.write_bytes(gzip.compress(text) if packed else text)
    return file


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize(
    ("service", "version"), [("mine", "2026-01-01"), ("sts", "2999-01-01"), ("sts", "1999-01-01")]
)
def test_the_users_own_descriptions_count_as_they_do_for_botocore(
    service, version, packed, tmp_path
):
    kept(tmp_path / "models", service, version, packed=packed)
    path = os.pathsep.join([str(tmp_path / "none"), str(tmp_path / "models")])
    quick, botocores = Models(path), create_loader(path)
    for kind in KINDS:
        assert read(quick, service, kind) == read(botocores, service, kind), kind
    assert read(quick, service, "service-2", version) == json.dumps(OWN)


def test_a_damaged_one_is_told_as_botocore_tells_it(tmp_path):
    kept(tmp_path, "mine", "2026-01-01").write_bytes(b'{"version": ')
    for loader in (Models(str(tmp_path)), create_loader(str(tmp_path))):
        with pytest.raises(json.JSONDecodeError):
            loader.load_service_model("mine", "service-2")
