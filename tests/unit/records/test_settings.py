"""The document of the settings: what it accepts, what it refuses, what its signature covers."""

import msgspec
import pytest

from overlay.base.errors import ForgedError, ProtocolError
from overlay.base.limits import SETTINGS_BYTES_MAX
from overlay.identity import operator
from overlay.records import settings
from overlay.records.settings import FarmSettings, Gateway, SettingsRecord, Trunk

KEY = operator.generate()
TRUNK = Trunk(name="north", prefixes=("+49",), gateways=(Gateway(host="gw.example.org"),))


def test_what_was_signed_is_read_again() -> None:
    wanted = FarmSettings(trunks=(TRUNK,))
    record = settings.signed(7, wanted, KEY)
    taken = settings.admit(settings.encode(record), KEY.public)
    assert taken == record
    assert settings.content(taken) == wanted


def test_nothing_is_taken_without_the_operators_signature() -> None:
    record = settings.signed(7, FarmSettings(trunks=(TRUNK,)), KEY)
    changed = (
        msgspec.structs.replace(record, version=8),
        msgspec.structs.replace(record, body=b"{}"),
        msgspec.structs.replace(record, signature=bytes(64)),
        settings.signed(7, FarmSettings(), operator.generate()),
    )
    for forged in changed:
        with pytest.raises(ForgedError):
            settings.admit(settings.encode(forged), KEY.public)
    with pytest.raises(ForgedError):
        settings.admit(b"nonsense", KEY.public)


def test_fields_of_a_newer_version_keep_the_signature() -> None:
    body = b'{"trunks":[],"something":"new"}'
    part = settings._signed_part(3, body)
    record = SettingsRecord(version=3, body=body, signature=KEY.sign(settings.PURPOSE, part))
    again = settings.admit(settings.encode(record), KEY.public)
    assert settings.encode(again) == settings.encode(record)
    assert settings.content(again) == FarmSettings()


@pytest.mark.parametrize(
    "change",
    [
        {"name": "North one"},
        {"name": ""},
        {"prefixes": ("49",)},
        {"gateways": (Gateway(host="gw;x=y"),)},
        {"gateways": (Gateway(host="gw", transport="ws"),)},  # type: ignore[arg-type]
        {"gateways": (Gateway(host="gw", port=70_000),)},
        {"password": 'x"y'},
        {"password": "x\r\ny"},
        {"domains": ("a b",)},
    ],
)
def test_what_could_not_stand_in_a_message_is_refused(change: dict[str, object]) -> None:
    broken = msgspec.structs.replace(TRUNK, **change)
    with pytest.raises(ProtocolError):
        settings.signed(1, FarmSettings(trunks=(broken,)), KEY)


def test_sources_are_addresses() -> None:
    with pytest.raises(ValueError, match="example"):
        msgspec.structs.replace(TRUNK, sources=("example.org",))
    body = b'{"trunks":[{"name":"x","prefixes":[],"gateways":[],"sources":["example.org"]}]}'
    with pytest.raises(ProtocolError):
        settings.content(SettingsRecord(version=1, body=body))


def test_names_are_unique_and_the_whole_is_bounded() -> None:
    with pytest.raises(ProtocolError, match="same name"):
        settings.signed(1, FarmSettings(trunks=(TRUNK, TRUNK)), KEY)
    with pytest.raises(ProtocolError, match="bytes"):
        settings.content(SettingsRecord(version=1, body=b" " * (SETTINGS_BYTES_MAX + 1)))
