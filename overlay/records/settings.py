"""What the operator decides for the whole farm: trunks to carriers, numbers, emergency calls.

In: settings that `sipfarm trunk` makes and signs. Out: one document that every node holds; its
highest version is in force. Counterparts: `overlay.replication.settings_keeper` spreads it;
`proxy/routes/trunks.py` follows it.

The signature covers the content as bytes, so that a node passes on fields that it does not know,
which a newer node's version has.
"""

import ipaddress
from collections.abc import Callable
from typing import Annotated, Final, Literal

import msgspec

from overlay.base import decoding
from overlay.base.errors import ForgedError, ProtocolError
from overlay.base.limits import (
    GATEWAYS_PER_TRUNK_MAX,
    SETTINGS_BYTES_MAX,
    TRUNK_ENTRIES_MAX,
    TRUNKS_MAX,
)
from overlay.identity.operator import Operator, OperatorKey

PURPOSE: Final = b"settings 1"
"""What the operator's signature under the settings is for."""
EMERGENCY_NUMBERS: Final = ("110", "112", "911", "999")
PORTS: Final = {"udp": 5060, "tcp": 5060, "tls": 5061}

Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]{0,31}\Z")]
Host = Annotated[str, msgspec.Meta(pattern=r"^([A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])\Z")]
Digits = Annotated[str, msgspec.Meta(pattern=r"^[0-9]{0,15}\Z")]
Dialled = Annotated[str, msgspec.Meta(pattern=r"^\+?[0-9*#]{0,31}\Z")]
Prefix = Annotated[str, msgspec.Meta(pattern=r"^\+[0-9]{0,15}\Z")]
Plain = Annotated[str, msgspec.Meta(pattern=r'^[^\x00-\x1f\x7f"\\]{0,256}\Z')]
Entries = msgspec.Meta(max_length=TRUNK_ENTRIES_MAX)


class Gateway(msgspec.Struct, frozen=True, kw_only=True):
    """One of a carrier's servers."""

    host: Host
    port: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """0: the transport's default port, unless DNS says otherwise (RFC 3263)."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    priority: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """The gateways with the lowest priority are tried first."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 100
    """The gateway's share of the calls, among gateways of the same priority."""

    @property
    def address(self) -> str:
        """The host, and the port if one is set, as they stand in a URI."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def uri(self) -> str:
        """The gateway's SIP URI."""
        return f"sip:{self.address};transport={self.transport}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How a number that begins with `match` is rewritten."""

    match: Dialled
    strip: Annotated[int, msgspec.Meta(ge=0, le=32)] = 0
    """How many characters to remove from the beginning."""
    prepend: Dialled = ""


class Trunk(msgspec.Struct, frozen=True, kw_only=True):
    """A way to a carrier, and from it."""

    name: Name
    prefixes: Annotated[tuple[Prefix, ...], Entries]
    """The beginnings of the numbers (E.164) that go to this carrier. The longest one of all trunks
    wins."""
    gateways: Annotated[tuple[Gateway, ...], msgspec.Meta(max_length=GATEWAYS_PER_TRUNK_MAX)]
    domains: Annotated[tuple[Host, ...], Entries] = ()
    """Hosts of Request-URIs that go to this carrier unchanged."""
    username: Plain = ""
    password: Plain = ""
    """The farm answers the carrier's challenges with this user name and password (RFC 3261 22)."""
    sources: Annotated[tuple[str, ...], Entries] = ()
    """Addresses and networks from which the carrier's calls come in, without any other proof."""
    dial: Annotated[tuple[Rule, ...], Entries] = ()
    """How the carrier wants numbers to be written: the first rule that matches applies. None: E.164
    with `+`."""

    def __post_init__(self) -> None:
        for source in self.sources:
            ipaddress.ip_network(source)


class Numbering(msgspec.Struct, frozen=True, kw_only=True):
    """How people dial in the country of the farm (ITU-T E.164)."""

    country: Digits = ""
    """The country code; empty: national numbers are not understood."""
    national: Digits = "0"
    """The digits before a national number."""
    international: Digits = "00"
    """The digits before a country code."""
    rules: Annotated[tuple[Rule, ...], Entries] = ()
    """Rules that come before all of this; the first one that matches applies."""


class Emergency(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that are never refused."""

    numbers: Annotated[tuple[Dialled, ...], Entries] = EMERGENCY_NUMBERS
    trunks: Annotated[tuple[Name, ...], Entries] = ()
    """The trunks that emergency calls go to, the first choice first."""
    service: Dialled = "112"
    """The number that is dialled for `urn:service:sos` (RFC 5031)."""


class FarmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is decided for the whole farm."""

    trunks: Annotated[tuple[Trunk, ...], msgspec.Meta(max_length=TRUNKS_MAX)] = ()
    numbering: Numbering = Numbering()
    emergency: Emergency = Emergency()

    def trunk(self, name: str) -> Trunk | None:
        """The trunk of this name; None if there is none."""
        return next((trunk for trunk in self.trunks if trunk.name == name), None)


class SettingsRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The settings as the operator signed them."""

    version: int = 0
    """Unix time in ms of the change, or one more than the version before it; 0: there are no
    settings."""
    body: bytes = b""
    """`FarmSettings` in JSON."""
    signature: bytes = b""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxies of a node read: the settings, and what this node knows of gateways and
    nodes."""

    settings: FarmSettings = FarmSettings()
    down: tuple[str, ...] = ()
    """URIs of gateways that do not answer."""
    gone: tuple[str, ...] = ()
    """Names of nodes that are dead or have left: no phone is reached on their flows."""


NONE: Final = SettingsRecord()
"""The record that stands for no settings."""

_encoder = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()
_decode: Callable[[bytes | memoryview], SettingsRecord] = decoding.msgpack(SettingsRecord)
_decode_settings: Callable[[bytes | str], FarmSettings] = decoding.json(FarmSettings)
_decode_shown: Callable[[bytes | str], Shown] = decoding.json(Shown)


def encode(record: SettingsRecord) -> bytes:
    """The record's bytes, as they are stored and sent."""
    return _encoder.encode(record)


def decode(data: bytes) -> SettingsRecord:
    """The record that `encode` made these bytes of; its signature is not checked. Raises
    `ProtocolError` for anything else."""
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"no settings: {error}") from error


def signed(version: int, settings: FarmSettings, key: OperatorKey) -> SettingsRecord:
    """The settings, signed as this version. Raises `ProtocolError` if they make no sense."""
    body = _json.encode(settings)
    content(SettingsRecord(version=version, body=body))
    return SettingsRecord(
        version=version, body=body, signature=key.sign(PURPOSE, _signed_part(version, body))
    )


def admit(data: bytes, operator: Operator) -> SettingsRecord:
    """The record in `data`. Raises `ForgedError` if the operator has not signed it."""
    try:
        record = decode(data)
    except ProtocolError as error:
        raise ForgedError(str(error)) from error
    if len(record.body) > SETTINGS_BYTES_MAX:
        raise ForgedError("settings that are too long")
    part = _signed_part(record.version, record.body)
    if not operator.has_signed(PURPOSE, part, record.signature):
        raise ForgedError("settings without the operator's signature")
    return record


def content(record: SettingsRecord) -> FarmSettings:
    """The settings in the record. Raises `ProtocolError` if this node does not understand them."""
    if not record.version:
        return FarmSettings()
    if len(record.body) > SETTINGS_BYTES_MAX:
        raise ProtocolError(f"the settings have more than {SETTINGS_BYTES_MAX} bytes")
    try:
        settings = _decode_settings(record.body)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"settings that are not understood: {error}") from error
    names = [trunk.name for trunk in settings.trunks]
    if len(set(names)) != len(names):
        raise ProtocolError("two trunks have the same name")
    return settings


def encode_shown(shown: Shown) -> bytes:
    """The content of the file that the proxies read."""
    return _json.encode(shown)


def decode_shown(data: bytes) -> Shown:
    """The content of that file as a value. Raises `msgspec.MsgspecError` for anything else."""
    return _decode_shown(data)


def _signed_part(version: int, body: bytes) -> bytes:
    return _encoder.encode((version, body))
