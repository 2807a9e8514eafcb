"""Fields that are read together are the same as when read one by one, whatever their content."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from proxy.routes import fields
from proxy.worker import Worker
from tests.unit.proxy.fake_ksr import FakeKsr, Message

TEXTS = st.sampled_from(["", "plain", "<null>", "<null", "two\r\n lines", "a\nb", "\n", "ü"])
GROUP = fields.VariableGroup("$ci", "$hdr(User-Agent)", "$ft", "$tt", "$sp")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TEXTS, TEXTS, TEXTS, TEXTS)
def test_a_group_is_its_fields(
    worker: Worker, kamailio: FakeKsr, call_id: str, agent: str, from_tag: str, to_tag: str
) -> None:
    kamailio.message = Message(
        call_id=call_id, user_agent=agent, from_tag=from_tag, to_tag=to_tag, source=("h", 5060)
    )
    assert GROUP.read(worker) == [call_id, agent, from_tag, to_tag, "5060"]


def test_what_is_not_utf8_is_replaced_or_refused(worker: Worker, kamailio: FakeKsr) -> None:
    kamailio.spoil("$ft", b"t\xf6")
    assert fields.VariableGroup("$ci", "$ft").read(worker) == ["call-1", "t\ufffd"]
    with pytest.raises(UnicodeDecodeError):
        fields.VariableGroup("$ci", "$ft", exact=True).read(worker)
