"""Phones keep their way through a NAT open with STUN on the SIP port (RFC 5626 3.5.2, RFC 8489)."""

import contextlib
import secrets
import socket
import struct

import pytest

from deploy.lab import Lab
from tests.farm.raw_phone import SIP_PORT, RawPhone, socket_on

COOKIE = 0x2112A442
REQUEST, SUCCESS, ERROR = 0x0001, 0x0101, 0x0111
XOR_MAPPED_ADDRESS, UNKNOWN_ATTRIBUTES = 0x0020, 0x000A
WAIT_S = 2.0
TRIES = 5


def binding_request(number: bytes, attributes: bytes = b"") -> bytes:
    """RFC 8489 5."""
    return struct.pack("!HHI", REQUEST, len(attributes), COOKIE) + number + attributes


def attributes_of(message: bytes) -> dict[int, bytes]:
    """By type; RFC 8489 14."""
    found, rest = {}, message[20:]
    while len(rest) >= 4:
        kind, size = struct.unpack("!HH", rest[:4])
        found[kind] = rest[4 : 4 + size]
        rest = rest[4 + size + -size % 4 :]
    return found


def asked(phone: socket.socket, node: str, request: bytes) -> bytes:
    """The answer to a request, which is repeated while none comes (RFC 8489 6.2.1)."""
    phone.settimeout(WAIT_S)
    for _ in range(TRIES):
        phone.sendto(request, (node, SIP_PORT))
        with contextlib.suppress(TimeoutError):
            # Others may still be on their way.
            while (answer := phone.recv(65_536))[4:20] != request[4:20]:
                pass
            return answer
    raise AssertionError("no answer to a STUN request")


@pytest.mark.parametrize("node", ["n1", "n3"])
def test_a_phone_learns_its_address_by_stun_on_the_sip_port(lab: Lab, node: str) -> None:
    with socket_on(lab, "p5", socket.SOCK_DGRAM) as phone:
        phone.bind((lab.phone("p5").address, 0))
        number = secrets.token_bytes(12)
        answer = asked(phone, lab.node(node).address, binding_request(number))
        assert struct.unpack("!H", answer[:2]) == (SUCCESS,)
        family, port, address = struct.unpack("!xBHI", attributes_of(answer)[XOR_MAPPED_ADDRESS])
        assert family == 1
        seen = socket.inet_ntoa(struct.pack("!I", address ^ COOKIE)), port ^ (COOKIE >> 16)
        assert seen == phone.getsockname()


def test_what_looks_like_stun_and_is_none_harms_nobody(lab: Lab) -> None:
    node = lab.node("n2").address
    with socket_on(lab, "p5", socket.SOCK_DGRAM) as phone:
        phone.bind((lab.phone("p5").address, 0))
        whole = binding_request(secrets.token_bytes(12), b"\x00\x06\x00\x05alice\0\0\0")
        wrong = [whole[:size] for size in range(len(whole))]
        wrong += [
            struct.pack("!HHI", REQUEST, size, COOKIE) + secrets.token_bytes(12)
            for size in (1, 4, 0x7FFF, 0xFFFC, 0xFFFF)
        ]
        wrong += [b"\0" * size for size in (1, 20, 60_000)]
        wrong += [whole[:20] + b"\x00\x06\xff\xff" + b"x" * 40, whole[:8] + b"\xff" * 2_000]
        for packet in wrong:
            phone.sendto(packet, (node, SIP_PORT))
        # What it does not understand and must, it says.
        unknown = binding_request(secrets.token_bytes(12), b"\x7f\x01\x00\x04abcd")
        answer = asked(phone, node, unknown)
        assert struct.unpack("!H", answer[:2]) == (ERROR,)
        assert UNKNOWN_ATTRIBUTES in attributes_of(answer)
        answer = asked(phone, node, binding_request(secrets.token_bytes(12)))
        assert struct.unpack("!H", answer[:2]) == (SUCCESS,)
    with RawPhone(lab, "p5", "carol") as carol:
        assert carol.ask("n2", "OPTIONS", f"sip:{lab.farm}").code == 200
