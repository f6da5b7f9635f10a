"""The check itself, against keys and signatures that another library has made."""

import gzip
import hashlib
import json
import zlib
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from hypothesis import given
from hypothesis import strategies as st
from trials import trials

from ctwatch.digests import (
    LogFile,
    PublicKey,
    Walk,
    fault_of,
    inflated,
    public_key,
    read,
    verifies,
)

KEYS = [
    rsa.generate_private_key(public_exponent=e, key_size=n) for e, n in ((65537, 1024), (3, 2048))
]
DER = [
    key.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1)
    for key in KEYS
]
SHA256, SCHEME = hashes.SHA256(), padding.PKCS1v15()
END = datetime(2026, 11, 25, 9, 1, 31, tzinfo=UTC)


# RSA


@pytest.mark.parametrize("number", [0, 1])
def test_a_key_is_read_as_it_was_written(number: int) -> None:
    told = KEYS[number].public_key().public_numbers()
    assert public_key(DER[number]) == PublicKey(told.n, told.e)


@trials(50)
@given(message=st.binary(max_size=200), number=st.integers(0, 1))
def test_what_another_library_has_signed_is_valid_and_for_one_message_only(
    message: bytes, number: int
) -> None:
    signature = KEYS[number].sign(message, SCHEME, SHA256)
    assert verifies(public_key(DER[number]), message, signature)
    assert not verifies(public_key(DER[number]), message + b"x", signature)
    assert not verifies(public_key(DER[1 - number]), message, signature)


@trials(200)
@given(st.data())
def test_a_changed_signature_is_valid_for_us_exactly_if_it_is_for_another_library(
    data: st.DataObject,
) -> None:
    signature = bytearray(KEYS[1].sign(b"message", SCHEME, SHA256))
    at = data.draw(st.integers(0, len(signature) - 1))
    signature[at] ^= data.draw(st.integers(0, 255))
    cut = bytes(signature[: data.draw(st.sampled_from([len(signature), at]))])
    grown = data.draw(st.sampled_from([b"", b"\x00"])) + cut
    try:
        KEYS[1].public_key().verify(grown, b"message", SCHEME, SHA256)
        theirs = True
    except InvalidSignature:
        theirs = False
    assert verifies(public_key(DER[1]), b"message", grown) is theirs


def encoded(key: rsa.RSAPrivateKey, block: bytes) -> bytes:
    """What a key makes of a block as it stands, whatever its padding."""
    numbers = key.private_numbers()
    modulus = numbers.public_numbers.n
    return pow(int.from_bytes(block), numbers.d, modulus).to_bytes(len(block))


INFO = bytes.fromhex("3031300d060960864801650304020105000420")


def test_a_padding_that_is_not_whole_is_refused_though_the_hash_is_right() -> None:
    """With an exponent of 3, who takes less than the whole block for good takes forgeries."""
    hashed = INFO + hashlib.sha256(b"message").digest()
    size = 256
    right = b"\x00\x01" + b"\xff" * (size - len(hashed) - 3) + b"\x00" + hashed
    assert verifies(public_key(DER[1]), b"message", encoded(KEYS[1], right))
    garbage = b"\x00\x01" + b"\xff" * 8 + b"\x00" + hashed
    for wrong in (
        garbage + b"\x00" * (size - len(garbage)),
        b"\x00\x02" + right[2:],
        b"\x00\x01" + b"\xfe" + right[3:],
        right[:-1] + bytes([right[-1] ^ 1]),
    ):
        assert not verifies(public_key(DER[1]), b"message", encoded(KEYS[1], wrong))


def test_a_key_too_short_for_a_hash_verifies_nothing() -> None:
    assert not verifies(PublicKey(2**255 - 19, 3), b"message", b"\x00" * 32)
    assert not verifies(PublicKey(1, 1), b"", b"")


@trials(300)
@given(st.one_of(st.binary(max_size=300), st.data()))
def test_junk_is_no_key_and_never_more_than_a_value_error(junk: Any) -> None:
    data = junk if isinstance(junk, bytes) else b""
    if not isinstance(junk, bytes):
        changed = bytearray(DER[0])
        changed[junk.draw(st.integers(0, len(changed) - 1))] = junk.draw(st.integers(0, 255))
        data = bytes(changed[: junk.draw(st.integers(0, len(changed)))])
    try:
        key = public_key(data)
    except ValueError:
        return
    assert key.modulus > 0
    assert key.exponent > 0
    assert not verifies(key, b"message", b"\x01" * ((key.modulus.bit_length() + 7) // 8))


@pytest.mark.parametrize(
    "der",
    [
        b"",
        b"\x30\x06\x02\x01\x05\x02\x01\x03\x00",
        b"\x30\x81\x06\x02\x01\x05\x02\x01\x03",
        b"\x30\x82\x00\x06\x02\x01\x05\x02\x01\x03",
        b"\x30\x80\x02\x01\x05\x02\x01\x03\x00\x00",
        b"\x30\x06\x02\x01\x85\x02\x01\x03",
        b"\x30\x07\x02\x02\x00\x05\x02\x01\x03",
        b"\x30\x05\x02\x01\x05\x02\x00",
        b"\x30\x06\x02\x01\x00\x02\x01\x03",
        b"\x30\x09\x02\x01\x05\x02\x01\x03\x02\x01\x03",
    ],
    ids=[
        "nothing", "more behind", "a long form for a short length", "a length led by a zero",
        "no length", "a negative number", "a number led by a zero", "no number", "zero",
        "a third number",
    ],
)  # fmt: skip
def test_what_der_does_not_allow_is_no_key(der: bytes) -> None:
    with pytest.raises(ValueError, match=r".+"):
        public_key(der)


# Files

FILE = LogFile("logs", "a.json.gz", hashlib.sha256(b'{"Records": []}').hexdigest())


def zipped(content: bytes) -> bytes:
    """The same bytes at any time, as they stand in the names of tests, which workers compare."""
    return gzip.compress(content, mtime=0)


WHOLE = zipped(b'{"Records": []}')


def test_a_log_file_is_valid_by_the_hash_of_what_it_holds_however_it_is_packed() -> None:
    assert fault_of(FILE, [WHOLE]) == ""
    assert fault_of(FILE, [WHOLE[:7], b"", WHOLE[7:]]) == ""
    assert fault_of(FILE, [gzip.compress(b'{"Records": []}', 1, mtime=5)]) == ""


@pytest.mark.parametrize(
    ("chunks", "fault"),
    [
        (None, "is missing: it was deleted"),
        ([zipped(b'{"Records": [1]}')], "was changed"),
        ([b"{}"], "was changed: it is no gzip file"),
        ([WHOLE[:-3]], "was changed: it is cut"),
        ([], "was changed: it is cut"),
        ([WHOLE + zipped(b"more")], "was changed: something was put behind its end"),
        ([WHOLE, b"more"], "was changed: something was put behind its end"),
    ],
)
def test_a_log_file_that_is_not_as_it_was_delivered(chunks: list[bytes] | None, fault: str) -> None:
    assert fault_of(FILE, chunks) == fault


def test_a_file_that_swells_is_never_whole_in_memory() -> None:
    swollen = zipped(b"\x00" * 5_000_000)
    assert max(map(len, inflated([swollen]))) <= 1024 * 1024
    assert sum(map(len, inflated([swollen]))) == 5_000_000
    with pytest.raises(ValueError, match="far too long"):
        read(gzip.compress(b" " * (64 * 1024 * 1024 + 1), 1))


@trials(200)
@given(st.binary(max_size=100))
def test_junk_is_no_digest_and_never_more_than_a_value_error(junk: bytes) -> None:
    for stored in (junk, gzip.compress(junk), WHOLE[: len(junk)]):
        with pytest.raises(ValueError, match=r".+"):
            read(stored)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


def document(**more: Any) -> dict[str, Any]:
    return {
        "digestStartTime": "2026-11-25T08:01:31Z",
        "digestEndTime": "2026-11-25T09:01:31Z",
        "digestS3Bucket": "logs",
        "digestS3Object": "digest.json.gz",
        "digestPublicKeyFingerprint": "key-1",
        "previousDigestS3Bucket": None,
        "previousDigestS3Object": None,
        "previousDigestHashValue": None,
        "previousDigestHashAlgorithm": None,
        "previousDigestSignature": None,
        "logFiles": [],
        **more,
    }


def packed(document: Any) -> bytes:
    return zipped(json.dumps(document).encode())


@trials(300)
@given(st.sampled_from(sorted(document())), JSON)
def test_a_digest_with_a_strange_value_is_read_or_refused_in_words(name: str, value: Any) -> None:
    said = "it lacks "
    try:
        read(packed(document(**{name: value})))
    except ValueError as error:
        said = str(error)
    assert said.startswith(("it lacks ", "its digest", "it has a hash by "))


@pytest.mark.parametrize(
    ("stored", "why"),
    [
        (packed([]), "it is no JSON object"),
        (zipped(b"[" * 200_000), "it is no JSON"),
        (zipped(b"\xff"), "it is no JSON"),
        (packed(document(digestEndTime="2026-11-25T9:01:31Z")), "its digestEndTime is no time"),
        (packed(document(logFiles=None)), "it lacks logFiles"),
        (packed(document(logFiles=["x"])), "it lacks hashAlgorithm"),
        (packed(document(logFiles=[{"hashAlgorithm": "MD5"}])), "it has a hash by MD5, which"),
        (packed(document(previousDigestSignature="00")), "it lacks previousDigestHashAlgorithm"),
    ],
)
def test_what_is_no_digest_says_why(stored: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        read(stored)


def test_what_is_signed_of_a_digest_is_as_aws_says() -> None:
    content = json.dumps(document()).encode()
    hashed = hashlib.sha256(content).hexdigest()
    expected = f"2026-11-25T09:01:31Z\nlogs/digest.json.gz\n{hashed}\nnull"
    assert read(gzip.compress(content)).signed.decode() == expected


class Shelf:
    """A store in memory."""

    def __init__(self, **stored: tuple[bytes, dict[str, str]]) -> None:
        self.stored = stored

    def digest(self, bucket: str, key: str) -> tuple[bytes, dict[str, str]] | None:
        del bucket
        return self.stored.get(key)

    def check(self, files: Any) -> Any:
        return ((one, "") for one in files)


def on_shelf(key: rsa.RSAPrivateKey, told: dict[str, Any], **metadata: str) -> Any:
    content = json.dumps(told).encode()
    digest = read(gzip.compress(content))
    signature = key.sign(digest.signed, SCHEME, SHA256).hex()
    known = {"signature": signature, "signature-algorithm": "SHA256withRSA", **metadata}
    return gzip.compress(content), known


def faults(stored: Any, keys: dict[str, bytes]) -> list[str]:
    place = ("logs", "digest.json.gz")
    shelf = Shelf(**{"digest.json.gz": stored})
    return [one.fault for one in Walk(shelf, keys, [place], datetime(2026, 1, 1, tzinfo=UTC))]


@pytest.mark.parametrize(
    ("metadata", "keys", "fault"),
    [
        ({}, {"key-1": DER[1]}, ""),
        ({"signature": ""}, {"key-1": DER[1]}, "has no signature of CloudTrail's"),
        ({"signature": "zz"}, {"key-1": DER[1]}, "has no signature of CloudTrail's"),
        ({"signature-algorithm": "none"}, {"key-1": DER[1]}, "has no signature of CloudTrail's"),
        ({"signature": "00" * 256}, {"key-1": DER[1]}, "was changed: its signature does not fit"),
        ({}, {"key-1": DER[0]}, "was changed: its signature does not fit"),
        ({}, {}, "is signed with a key that is not CloudTrail's here: key-1"),
        ({}, {"key-1": b"junk"}, "cannot be checked: CloudTrail's key key-1: not the DER of a key"),
    ],
)
def test_a_digest_is_cloudtrail_s_by_its_signature_alone(
    metadata: dict[str, str], keys: dict[str, bytes], fault: str
) -> None:
    assert faults(on_shelf(KEYS[1], document(), **metadata), keys) == [fault]


def test_a_chain_that_names_itself_comes_to_an_end() -> None:
    """Nobody can sign such a one but CloudTrail; the walk ends all the same."""
    before = {
        "previousDigestS3Bucket": "logs",
        "previousDigestS3Object": "digest.json.gz",
        "previousDigestHashValue": "00",
        "previousDigestHashAlgorithm": "SHA-256",
        "previousDigestSignature": "00",
    }
    assert faults(on_shelf(KEYS[1], document(**before)), {"key-1": DER[1]}) == [""]


def test_zlib_s_own_error_is_told_as_ours() -> None:
    broken = bytearray(gzip.compress(b"x" * 100))
    broken[12] ^= 0xFF
    with pytest.raises(ValueError, match=r"no gzip file|cut"):
        list(inflated([bytes(broken)]))
    assert issubclass(zlib.error, Exception)
