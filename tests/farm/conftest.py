"""Fixtures: one lab of three nodes for all tests, which is mended after tests that break it.

Network namespaces need root. Without it these tests fail; they are not skipped.
"""

import signal
from collections.abc import Generator, Iterator

import pytest

from deploy.lab import Lab, Phone
from tests.farm.asking import PATIENT, lab_of_three
from tests.sip.credentials import PASSWORD

# A job in the background of a shell begins with Ctrl-C ignored and hands that on to what it starts;
# some tests press it.
signal.signal(signal.SIGINT, signal.default_int_handler)


class LabKeeper:
    """Has a lab up when one is needed; a test may take it away."""

    def __init__(self) -> None:
        self._lab: Lab | None = None
        self.in_doubt = False
        """A test failed: the next one gets a new lab."""

    def lab(self) -> Lab:
        """The lab, with subscribers in it."""
        if self.in_doubt:
            self.take_away()
        if self._lab is None:
            self._lab = lab_of_three(PATIENT)
        return self._lab

    def take_away(self) -> None:
        """Remove the lab."""
        self.in_doubt = False
        if self._lab is not None:
            self._lab = None
            Lab.down()


_KEEPER = LabKeeper()
"""One for all folders that use these fixtures: a machine has room for one lab."""


@pytest.fixture(scope="session")
def keeper() -> Iterator[LabKeeper]:
    """Holds the lab between tests."""
    yield _KEEPER
    _KEEPER.take_away()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Nobody knows in what state a test that failed leaves the lab."""
    report = yield
    keeper = getattr(item, "funcargs", {}).get("keeper")
    if report.failed and keeper is not None:
        keeper.in_doubt = True
    return report


@pytest.fixture
def lab(keeper: LabKeeper) -> Lab:
    """Three nodes in good order; subscribers alice, bob, carol and dave."""
    return keeper.lab()


@pytest.fixture
def breakable_lab(lab: Lab) -> Iterator[Lab]:
    """The lab for tests that kill, freeze or cut; mended afterwards."""
    yield lab
    lab.restore()


@pytest.fixture
def no_lab(keeper: LabKeeper) -> Iterator[None]:
    """No lab is up, and whatever the test leaves is removed."""
    keeper.take_away()
    yield
    Lab.down()


@pytest.fixture
def alice(lab: Lab) -> Iterator[Phone]:
    """Alice's phone, registered at n1."""
    names = {lab.farm: lab.node("n1").address}
    with Phone(lab, "p1", "alice", PASSWORD, names=names) as phone:
        assert phone.register().code == 200
        yield phone


@pytest.fixture
def bob(lab: Lab) -> Iterator[Phone]:
    """Bob's phone, which calls by way of n2 and sends what follows to n3."""
    with Phone(
        lab,
        "p2",
        "bob",
        PASSWORD,
        names={lab.farm: lab.node("n3").address},
        outbound_proxy=f"sip:{lab.node('n2').address};lr",
    ) as phone:
        yield phone
