"""An account of the sandbox as it once was, to be put back: a tenth of what making it anew takes.

    kept = Kept(sandbox)       # after `up` and what people do
    ...                        # whatever happens to it
    kept.put_back()            # and it never happened

Both what moto keeps and what the sandbox keeps beside it are pickled together, so that what they
share they share again. A mail is not of the account, and is gone when it is put back.
"""

import pickle
import threading
from collections.abc import Iterator
from io import BytesIO
from types import FunctionType
from typing import Any
from weakref import WeakValueDictionary

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from moto.core.base_backend import BackendDict
from moto.s3.utils import _VersionedKeyStore
from moto.ssm.models import ParameterDict
from watch_world import World

from ctwatch.sandbox.calls import Refusal
from ctwatch.sandbox.server import Sandbox

_AS_IT_IS = (type(threading.Lock()), type(threading.RLock()), FunctionType, RSAPrivateKey, Refusal)
"""What no account changes, and pickle cannot copy: both have the same."""


class Kept:
    """What there is in a sandbox now; nothing may be under way that changes it.

    Args:
        sandbox: whose account it is.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._services = list(BackendDict._instances)
        self._shared: list[Any] = []
        moto = [dict(one) for one in self._services]
        beside = [getattr(owner, name) for owner, name in _beside(sandbox)]
        into = BytesIO()
        # A command that has ended may still have a read under way, of which a record is written.
        with sandbox._cloud.alone, sandbox._history._lock, sandbox._log_files._lock:
            _Pickler(into, self._shared).dump((moto, beside))
        self._pickled = into.getvalue()

    def put_back(self) -> None:
        """Forget all that there is for what there was."""
        self._sandbox._delivery.reset()
        self._sandbox.reset()
        moto, beside = _Unpickler(BytesIO(self._pickled), self._shared).load()
        for service, accounts in zip(self._services, moto, strict=True):
            service.update(accounts)
        BackendDict._instances.extend(self._services)
        for (owner, name), value in zip(_beside(self._sandbox), beside, strict=True):
            setattr(owner, name, value)


def _beside(sandbox: Sandbox) -> Iterator[tuple[Any, str]]:
    """What `Sandbox.reset` empties, but for moto, the inbox and the story."""
    delivery: Any = sandbox._delivery
    yield from ((sandbox, name) for name in ("calls", "_opted_in", "_written"))
    yield sandbox._authorization, "service_control"
    yield from ((sandbox._history, "_new"), (sandbox._history, "_old"))
    yield sandbox._metrics, "_sums"
    yield from ((sandbox._log_files, name) for name in ("_pending", "_undigested", "_chains"))
    yield from ((sandbox._identities, "_known"), (delivery.functions, "_code"))
    yield from ((delivery.topics, name) for name in ("_tokens", "_pending", "_authenticated"))
    if sandbox.slowness:
        names = ("_until", "_was", "_rules", "_paced", "_at_work", "_events", "_said")
        yield from ((sandbox.slowness, name) for name in names)


def kept(world: World) -> Kept:
    """The account of a world as it is when all that is under way has ended."""
    world.settle()
    return Kept(world.sandbox)


class _Pickler(pickle.Pickler):
    def __init__(self, into: BytesIO, shared: list[Any]) -> None:
        super().__init__(into)
        self._shared = shared

    def persistent_id(self, one: Any) -> int | None:
        """Where among the shared it is; None for what is copied."""
        if not isinstance(one, _AS_IT_IS) or _has_a_name(one):
            return None
        self._shared.append(one)
        return len(self._shared) - 1

    def reducer_override(self, one: Any) -> Any:
        """How the dictionaries are copied that pickle copies otherwise or not at all."""
        if isinstance(one, WeakValueDictionary):
            return WeakValueDictionary, (), None, None, iter(one.items())
        if isinstance(one, ParameterDict):
            made_of = (one.account_id, one.region_name)
            return ParameterDict, made_of, vars(one), None, iter(dict.items(one))
        if isinstance(one, _VersionedKeyStore):  # to set a key again is to add a version
            versions = ((key, version) for key, those in one.lists() for version in those)
            return _VersionedKeyStore, (), None, None, versions
        return NotImplemented


def _has_a_name(one: Any) -> bool:
    return isinstance(one, FunctionType) and "<" not in one.__qualname__


class _Unpickler(pickle.Unpickler):
    def __init__(self, read: BytesIO, shared: list[Any]) -> None:
        super().__init__(read)
        self._shared = shared

    def persistent_load(self, pid: Any) -> Any:
        """The shared one."""
        return self._shared[pid]
