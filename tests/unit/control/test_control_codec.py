"""Every declared kind of message of the control socket can be sent."""

from overlay.control import control_codec
from overlay.control.control_protocol import ControlAnswer, ControlRequest


def test_every_kind_that_is_declared_can_be_sent() -> None:
    assert set(ControlRequest.__subclasses__()) == set(control_codec.REQUESTS)
    assert set(ControlAnswer.__subclasses__()) == set(control_codec.ANSWERS)
