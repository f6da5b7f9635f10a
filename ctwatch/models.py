"""Botocore's loader of the services' descriptions, without what takes it longest.

Before botocore makes a client, it looks into the folders of four hundred services to learn whether
there is such a one; and it parses JSON into `OrderedDict`, though a `dict` has kept its order since
Python 3.7. Here it looks for the one service alone, and parses into `dict`: a third less of time
for eleven clients, and a seventh less of memory.

More could be had, and was measured. Descriptions of but the operations that we call would need a
table of them, and a client that lacks one fails where nobody looked. Descriptions kept in a folder
would halve what is left, but say where calls go and what answers mean: whoever may write there
could make `ctwatch status` say ARMED. To parse an operation when it is asked for gains nothing, as
botocore asks for all when it makes a client.
"""

import json
from collections.abc import Callable, Mapping
from gzip import decompress
from pathlib import Path
from typing import Any

from botocore.exceptions import DataNotFoundError, UnknownServiceError
from botocore.loaders import JSONFileLoader, Loader, create_loader

_READ: Mapping[str, Callable[[bytes], bytes]] = {".json": bytes, ".json.gz": decompress}


class Models(Loader):
    """What botocore's own loader finds, in the same folders.

    Args:
        path: what AWS_DATA_PATH says, or the profile's data_path; None for botocore's folders.
    """

    def __init__(self, path: str | None) -> None:
        self._paths = create_loader(path).search_paths
        super().__init__(self._paths, _Files(), include_default_search_paths=False)
        self._each: dict[str, _One] = {}

    def load_service_model(
        self, service_name: str, type_name: str, api_version: str | None = None
    ) -> Any:
        """A service's description, its paginators, waiters, or rules of endpoints.

        Raises:
            UnknownServiceError: there are none.
            DataNotFoundError: there are none of that version.
        """
        one = self._each.setdefault(service_name, _One(service_name, self._paths, self.file_loader))
        try:
            return one.load_service_model(service_name, type_name, api_version)
        except UnknownServiceError:  # botocore names those that there are
            return super().load_service_model(service_name, type_name, api_version)


class _One(Loader):
    """Looks for one service, where botocore looks for all to know whether it is among them."""

    def __init__(self, service: str, paths: list[str], files: JSONFileLoader) -> None:
        super().__init__(paths, files, include_default_search_paths=False)
        self._service = service

    def list_available_services(self, type_name: str) -> list[str]:
        """This service, if it has a file of that type."""
        try:
            self.list_api_versions(self._service, type_name)
        except DataNotFoundError:
            return []
        return [self._service]


class _Files(JSONFileLoader):
    def load_file(self, file_path: str) -> Any:
        """What a file says, named without its ending; None if there is none."""
        for ending, opened in _READ.items():
            if (file := Path(file_path + ending)).is_file():
                return json.loads(opened(file.read_bytes()))
        return None
