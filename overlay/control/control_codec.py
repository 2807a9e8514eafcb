"""Encodes and decodes the messages of the control socket.

In: payloads of frames; messages. Out: messages; payloads. A kind of message may be sent if it is a
subclass of `ControlRequest` or `ControlAnswer` in a module named here. No other list of kinds
exists.
"""

from typing import Final

import msgspec

from overlay.base import decoding
from overlay.control import control_protocol, operator_messages, proxy_messages
from overlay.control.control_protocol import ControlAnswer, ControlRequest

_MODULES: Final = (control_protocol, proxy_messages, operator_messages)

REQUESTS: Final = decoding.kinds_in(ControlRequest, *_MODULES)
"""Every kind of request."""
ANSWERS: Final = decoding.kinds_in(ControlAnswer, *_MODULES)
"""Every kind of answer."""

encode = msgspec.msgpack.Encoder().encode
decode_request = decoding.any_of(REQUESTS)
decode_answer = decoding.any_of(ANSWERS)
