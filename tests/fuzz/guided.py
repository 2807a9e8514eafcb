"""Fuzzes the code that takes input apart, guided by coverage (atheris): only the right error may
come.

In: a target's name, a duration. Out: the fuzzer's report; the input of a crash, in a file, and exit
status 77. Counterpart: `main.py`, which plays whole attacks against a whole node.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import atheris

with atheris.instrument_imports(include=["overlay", "proxy"]):
    import msgspec

    from overlay.base.errors import ProtocolError
    from overlay.base.frames import FrameBuffer
    from overlay.control import control_codec
    from overlay.dht.table import TableContact
    from overlay.links import member_messages, peer_codec
    from overlay.links.member_claims import sane
    from overlay.records import call, registration, subscriber
    from proxy import contacts, digest, fork_plan, route_token, sip_uri
    from tests.fuzz import hostile

FRAME_BYTES_MAX = 4_096


class Provided:
    """Choices that the fuzzer makes."""

    def __init__(self, provider: Any) -> None:
        self._provider = provider

    def number(self, low: int, high: int) -> int:
        """From `low` to `high`."""
        return int(self._provider.ConsumeIntInRange(low, high))

    def data(self, size_max: int) -> bytes:
        """Any bytes."""
        return bytes(self._provider.ConsumeBytes(size_max))


def links(provider: Any) -> None:
    """A frame of a peer, and what membership makes of it."""
    choices = Provided(provider)
    kind = hostile.pick(choices, hostile.KINDS)
    payload = hostile.link_message(choices, kind, 1)
    try:
        for each in FrameBuffer(FRAME_BYTES_MAX).feed(choices.data(64)) or [payload]:
            message = peer_codec.decode(each)
            if isinstance(message, member_messages.Gossip):
                for update in filter(sane, message.updates):
                    TableContact(update.node)
    except (msgspec.MsgspecError, ProtocolError):
        peer_codec.unknown_kind(payload)


def clients(provider: Any) -> None:
    """A request at the control socket."""
    try:
        control_codec.decode_request(hostile.control_message(Provided(provider)))
    except msgspec.MsgspecError:
        return


def records(provider: Any) -> None:
    """Bodies of records, and their merging."""
    body = hostile.bodies(Provided(provider))
    for decode in (call.decode, subscriber.decode):
        try:
            decode(body)
        except msgspec.MsgspecError:
            continue
    try:
        record = registration.decode(body)
    except msgspec.MsgspecError:
        return
    registration.merge(record, registration.prune(record, 1_000))


def sip(provider: Any) -> None:
    """Texts of SIP messages."""
    text = provider.ConsumeUnicodeNoSurrogates(400)
    for parse in (sip_uri.host_of, sip_uri.transport_of, sip_uri.is_reliable, contacts.is_sip_uri):
        parse(text)
    for parse in (digest.parse, route_token.parameters_of, fork_plan.decode, fork_plan.breadth):
        parse(text)
    try:
        contacts.parse([text], 3600)
    except ValueError:
        return


TARGETS: dict[str, Callable[[Any], None]] = {
    each.__name__: each for each in (links, clients, records, sip)
}


def main() -> None:
    """Fuzz what the command line names; ends the process."""
    parser = argparse.ArgumentParser(prog="guided", description=__doc__)
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    target = TARGETS[options.target]
    os.chdir(tempfile.mkdtemp(prefix="sipfarm-guided-"))
    arguments = [f"-max_total_time={options.seconds}", f"-seed={options.seed}", "-max_len=8192"]
    atheris.Setup([sys.argv[0], *arguments], lambda data: target(atheris.FuzzedDataProvider(data)))
    atheris.Fuzz()


if __name__ == "__main__":
    main()
