"""What the operator decides for the whole farm: trunks to carriers, numbers, emergency calls.

In: what `sipfarm trunk` makes, and signs. Out: one document that every node holds; its highest
version is in force. Counterparts: `overlay.replication.settings_keeper` spreads it;
`proxy/routes/trunks.py` keeps to it.

The signature covers the content as bytes, so that a node passes on what a newer one put into it.
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
    """0: that of the transport, unless DNS says otherwise (RFC 3263)."""
    transport: Literal["udp", "tcp", "tls"] = "udp"
    priority: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 0
    """The lowest is tried first."""
    weight: Annotated[int, msgspec.Meta(ge=0, le=65_535)] = 100
    """Share of the calls among those of the same priority."""

    @property
    def address(self) -> str:
        """Where it is, as it stands in a URI."""
        return f"{self.host}:{self.port}" if self.port else self.host

    @property
    def uri(self) -> str:
        """The gateway itself."""
        return f"sip:{self.address};transport={self.transport}"


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """How a number that begins so is rewritten."""

    match: Dialled
    strip: Annotated[int, msgspec.Meta(ge=0, le=32)] = 0
    """Characters to take from the beginning."""
    prepend: Dialled = ""


class Trunk(msgspec.Struct, frozen=True, kw_only=True):
    """A way to a carrier, and from it."""

    name: Name
    prefixes: Annotated[tuple[Prefix, ...], Entries]
    """Beginnings of the numbers (E.164) that go there; the longest of all trunks wins."""
    gateways: Annotated[tuple[Gateway, ...], msgspec.Meta(max_length=GATEWAYS_PER_TRUNK_MAX)]
    domains: Annotated[tuple[Host, ...], Entries] = ()
    """Hosts of Request-URIs that go there as they are."""
    username: Plain = ""
    password: Plain = ""
    """With which the farm answers the carrier's challenges (RFC 3261 22)."""
    sources: Annotated[tuple[str, ...], Entries] = ()
    """Addresses and networks from which its calls come in, without any other proof."""
    dial: Annotated[tuple[Rule, ...], Entries] = ()
    """How the carrier wants numbers; the first rule that matches. None: E.164 with `+`."""

    def __post_init__(self) -> None:
        for source in self.sources:
            ipaddress.ip_network(source)


class Numbering(msgspec.Struct, frozen=True, kw_only=True):
    """How people here dial (ITU-T E.164)."""

    country: Digits = ""
    """Country code; empty: national numbers are not understood."""
    national: Digits = "0"
    """Stands before a national number."""
    international: Digits = "00"
    """Stands before a country code."""
    rules: Annotated[tuple[Rule, ...], Entries] = ()
    """Applied before all that; the first one that matches."""


class Emergency(msgspec.Struct, frozen=True, kw_only=True):
    """Calls that are never refused."""

    numbers: Annotated[tuple[Dialled, ...], Entries] = EMERGENCY_NUMBERS
    trunks: Annotated[tuple[Name, ...], Entries] = ()
    """Where they go, the first one first."""
    service: Dialled = "112"
    """What is dialled for `urn:service:sos` (RFC 5031)."""


class FarmSettings(msgspec.Struct, frozen=True, kw_only=True):
    """All that is decided for the whole farm."""

    trunks: Annotated[tuple[Trunk, ...], msgspec.Meta(max_length=TRUNKS_MAX)] = ()
    numbering: Numbering = Numbering()
    emergency: Emergency = Emergency()

    def trunk(self, name: str) -> Trunk | None:
        """The trunk of this name."""
        return next((trunk for trunk in self.trunks if trunk.name == name), None)


class SettingsRecord(msgspec.Struct, frozen=True, array_like=True, kw_only=True):
    """The settings as the operator signed them."""

    version: int = 0
    """Unix time in ms of the change, or one more than the version before; 0 for none."""
    body: bytes = b""
    """`FarmSettings` in JSON."""
    signature: bytes = b""


class Shown(msgspec.Struct, frozen=True, kw_only=True):
    """What the proxies of a node read: the settings, and what this node knows of the gateways."""

    settings: FarmSettings = FarmSettings()
    down: tuple[str, ...] = ()
    """URIs of gateways that do not answer."""
    gone: tuple[str, ...] = ()
    """Names of nodes that are dead, or have left: nobody is reached on their flows."""


NONE: Final = SettingsRecord()
"""No settings."""

_encoder = msgspec.msgpack.Encoder()
_json = msgspec.json.Encoder()
_decode: Callable[[bytes | memoryview], SettingsRecord] = decoding.msgpack(SettingsRecord)
_decode_settings: Callable[[bytes | str], FarmSettings] = decoding.json(FarmSettings)
_decode_shown: Callable[[bytes | str], Shown] = decoding.json(Shown)


def encode(record: SettingsRecord) -> bytes:
    """The record as stored and sent."""
    return _encoder.encode(record)


def decode(data: bytes) -> SettingsRecord:
    """The record of `encode`, unchecked; raises `ProtocolError` on anything else."""
    try:
        return _decode(data)
    except msgspec.MsgspecError as error:
        raise ProtocolError(f"no settings: {error}") from error


def signed(version: int, settings: FarmSettings, key: OperatorKey) -> SettingsRecord:
    """The settings as this version; raises `ProtocolError` if they make no sense."""
    body = _json.encode(settings)
    content(SettingsRecord(version=version, body=body))
    return SettingsRecord(
        version=version, body=body, signature=key.sign(PURPOSE, _signed_part(version, body))
    )


def admit(data: bytes, operator: Operator) -> SettingsRecord:
    """The record in `data`; raises `ForgedError` if it is not the operator's."""
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
    """What the record says; raises `ProtocolError` if this node does not understand it."""
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
    """The file that the proxies read."""
    return _json.encode(shown)


def decode_shown(data: bytes) -> Shown:
    """The content of that file; raises `msgspec.MsgspecError` on anything else."""
    return _decode_shown(data)


def _signed_part(version: int, body: bytes) -> bytes:
    return _encoder.encode((version, body))
