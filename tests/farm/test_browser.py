"""A phone in a web page, in a real browser, and real phones of other stacks call each other.

The farm offers its challenges in the default order. SIP.js takes the last one, and its only
algorithm is MD5.
"""

from collections.abc import Iterator

import pytest

from deploy.lab import Lab, Phone
from tests.farm.asking import add_subscriber, ended_record, eventually, locate
from tests.farm.conftest import LabKeeper
from tests.farm.phones import Heard, RealPhone
from tests.farm.phones_browser import BrowserPhone
from tests.farm.phones_linphone import LinphonePhone
from tests.sip.credentials import PASSWORD

WITHIN_S = 30.0


@pytest.fixture(scope="module")
def farm(keeper: LabKeeper) -> Iterator[Lab]:
    """A farm of its own: nodes read the order of challenges when they start."""
    keeper.take_away()
    try:
        lab = Lab.up(2, settings={"proxy.digest_algorithms": ["SHA-256", "MD5"]})
        for user in ("web", "lin", "pj"):
            add_subscriber(lab, user)
        yield lab
    finally:
        Lab.down()


@pytest.fixture
def browser(farm: Lab) -> Iterator[BrowserPhone]:
    """The page, registered."""
    with BrowserPhone(farm, "p5", "web") as phone:
        phone.register()
        yield phone
    assert all(each.removed for each in locate(farm, "n1", "web").bindings)


@pytest.fixture
def linphone(farm: Lab) -> Iterator[RealPhone]:
    """Linphone with the media of WebRTC, registered."""
    with LinphonePhone(farm, "p4", "lin", "udp", as_browsers=True) as phone:
        phone.register()
        yield phone


def _talk(caller: RealPhone, callee: RealPhone) -> None:
    caller.dial(callee.aor)
    assert callee.hears(Heard.INCOMING, Heard.ENDED, timeout_s=WITHIN_S) is Heard.INCOMING
    callee.answer()
    for each in (caller, callee):
        assert each.hears(Heard.TALKING, Heard.ENDED, timeout_s=WITHIN_S) is Heard.TALKING


def _end(farm: Lab, ending: RealPhone, other: RealPhone, call_id: str, hangup: str) -> None:
    ending.hang_up()
    for each in (ending, other):
        assert each.hears(Heard.ENDED, timeout_s=WITHIN_S) is Heard.ENDED
    record = ended_record(farm, call_id)
    assert (record.state, record.hangup) == ("complete", hangup)


def test_a_browser_calls_and_its_voice_is_sent_encrypted(
    farm: Lab, browser: BrowserPhone, linphone: RealPhone
) -> None:
    (bound,) = [each for each in locate(farm, "n1", "web").bindings if not each.removed]
    assert bound.received.endswith(";transport=wss")
    _talk(browser, linphone)
    # Nothing is sent before ICE has found a way and the DTLS handshake is done.
    eventually(lambda: browser.packets()["sent"] > 25, "the browser's voice is sent", WITHIN_S)
    _end(farm, linphone, browser, browser.call_id, "callee")


@pytest.mark.parametrize("ending", ["browser", "linphone"])
def test_a_browser_is_called(
    farm: Lab, browser: BrowserPhone, linphone: RealPhone, ending: str
) -> None:
    _talk(linphone, browser)
    if ending == "browser":
        _end(farm, browser, linphone, browser.call_id, "callee")
    else:
        _end(farm, linphone, browser, browser.call_id, "caller")


def test_a_phone_without_the_media_of_browsers_refuses(farm: Lab, browser: BrowserPhone) -> None:
    """Nobody translates media here: the pages' owner is told at once."""
    with Phone(farm, "p3", "pj", PASSWORD) as pjsip:
        assert pjsip.register().code == 200
        browser.dial(pjsip.aor)
        assert browser.hears(Heard.ENDED, timeout_s=WITHIN_S) is Heard.ENDED
        assert browser.codes[-1] == 488
        assert pjsip.unregister().code == 200


def test_a_page_of_somebody_else_gets_no_connection(farm: Lab) -> None:
    with BrowserPhone(farm, "p5", "web", origin="https://evil.test") as phone:
        phone.start_registering()
        assert phone.hears(Heard.REGISTERED, Heard.REFUSED, timeout_s=WITHIN_S) is Heard.REFUSED
