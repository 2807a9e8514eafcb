"""The fake KSR of the unit tests has the functions of the installed Kamailio."""

from deploy.lab import Lab
from tests.farm.ksr_api import exported
from tests.farm.liveness import Watch
from tests.unit.proxy.ksr_api import EXPORTED


def test_the_fake_knows_what_kamailio_exports(lab: Lab) -> None:
    found = exported(Watch(lab, "n1", "p6"))
    loaded = {name.rpartition(".")[0] for name in found}
    known = {name: types for name, types in EXPORTED.items() if name.rpartition(".")[0] in loaded}
    assert found == known, "after an upgrade of Kamailio: python -m tests.farm.ksr_api"
