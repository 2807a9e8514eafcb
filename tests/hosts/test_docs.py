"""The tests of this story have typed every console block of the documents."""

from tests.hosts.documents import COMMANDS, INSTALL, OPERATE, ROLLOUT, UPGRADE
from tests.hosts.farm import HostsFarm


def test_the_documents_with_commands_are_those_that_are_typed() -> None:
    assert {name for name, commands in COMMANDS.items() if commands} == {
        INSTALL,
        ROLLOUT,
        OPERATE,
        UPGRADE,
    }


def test_no_command_is_left_out(farm: HostsFarm) -> None:
    # INSTALL is typed as a whole, on hosts of its own.
    commands = [each for name in (ROLLOUT, OPERATE, UPGRADE) for each in COMMANDS[name]]
    assert [each for each in commands if each.where not in farm.reader.typed] == []
