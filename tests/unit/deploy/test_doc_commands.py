"""The commands of documents: which lines are commands, which are output, what a variable holds."""

import subprocess
from pathlib import Path

import pytest

from deploy.docs.__main__ import ROOT
from tests.hosts import documents
from tests.hosts.doc_commands import (
    Command,
    DocumentError,
    Session,
    commands_of,
    on_hosts,
    ssh_wrappers,
)

BLOCKS = """\
# All

```console
op# sipfarm ca init \\
      --farm farm.test
made the CA
op# sipfarm ca token     # prints TOKEN
sipfarm1-abc
```

```toml
op# not a command
```

## Second

```console
n1# cat >x <<'EOF'
two lines # prints nothing
of text
EOF
admin$ ansible-playbook "$TOKEN"
```
"""


def test_commands_of_all_blocks_in_order_without_their_output() -> None:
    assert commands_of(BLOCKS, "a.md") == [
        Command(
            where="a.md:4",
            section="All",
            host="op",
            text="sipfarm ca init \\\n      --farm farm.test",
        ),
        Command(where="a.md:7", section="All", host="op", text="sipfarm ca token", prints="TOKEN"),
        Command(
            where="a.md:18",
            section="Second",
            host="n1",
            text="cat >x <<'EOF'\ntwo lines # prints nothing\nof text\nEOF",
        ),
        Command(where="a.md:22", section="Second", host="admin", text='ansible-playbook "$TOKEN"'),
    ]


@pytest.mark.parametrize(
    ("block", "error"),
    [
        ("only output", "a.md:2: a console block without a command"),
        ("root@n1# ls", "a.md:2: no host has this prompt"),
        ("# ls", "a.md:2: no host has this prompt"),
        ("n1# ls \\", "a.md:2: the command has no end"),
        ("n1# cat <<'EOF'\nx", "a.md:2: the command has no end"),
    ],
)
def test_a_block_that_cannot_be_run(block: str, error: str) -> None:
    with pytest.raises(DocumentError, match=error):
        commands_of(f"```console\n{block}\n```\n", "a.md")


def test_what_a_command_prints_is_known_to_those_after_it() -> None:
    asked: list[tuple[str, str]] = []

    def run(host: str, text: str, _within_s: float) -> "subprocess.CompletedProcess[str]":
        asked.append((host, text))
        return subprocess.CompletedProcess([], 0, stdout="a note\nit's\n\n", stderr="next: …\n")

    session = Session(run)
    done = list(session.run(commands_of(BLOCKS, "a.md")))
    assert session.variables == {"TOKEN": "it's"}
    assert asked[0] == ("op", "sipfarm ca init \\\n      --farm farm.test")
    assert asked[3] == ("admin", "TOKEN='it'\"'\"'s'\nansible-playbook \"$TOKEN\"")
    assert done[1].output == "a note\nit's\n\nnext: …\n"


def test_the_first_command_that_fails_ends_the_run_and_is_named(tmp_path: Path) -> None:
    text = "```console\nadmin$ true\nadmin$ echo why >&2; exit 3\nadmin$ touch later\n```\n"
    run = on_hosts(_NoHosts(), tmp_path, {})
    with pytest.raises(AssertionError, match=r"b\.md:3: admin: .*\nexit status 3\nwhy"):
        list(Session(run).run(commands_of(text, "b.md")))
    assert not (tmp_path / "later").exists()


def test_commands_of_the_operator_have_a_directory_and_an_environment(tmp_path: Path) -> None:
    text = '```console\nadmin$ echo "$PWD $WHO"     # prints SEEN\n```\n'
    session = Session(on_hosts(_NoHosts(), tmp_path, {"WHO": "me"}))
    assert len(list(session.run(commands_of(text, "c.md")))) == 1
    assert session.variables == {"SEEN": f"{tmp_path} me"}


def test_ssh_knows_the_hosts(tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("Host n1\n  HostName 10.99.0.11\n")
    ssh = ssh_wrappers(tmp_path / "bin", config) / "ssh"
    told = subprocess.run([ssh, "-G", "n1"], capture_output=True, text=True, check=True).stdout
    assert "hostname 10.99.0.11" in told.splitlines()


@pytest.mark.parametrize("path", sorted((ROOT / "docs").glob("*.md")), ids=lambda path: path.name)
def test_every_block_of_the_documents_can_be_read(path: Path) -> None:
    commands_of(path.read_text(encoding="utf-8"), path.name)


def test_a_host_that_reboots_is_waited_for(tmp_path: Path) -> None:
    commands = commands_of("```console\nn2# systemctl reboot\n```\n", "d.md")
    (done,) = Session(on_hosts(_NoHosts(), tmp_path, {})).run(commands)
    assert done.output == "back after 1.5 s\n"


def test_versions_of_the_documents_stand_for_those_of_packages() -> None:
    typed = [
        documents.with_packages(
            each, [Path("sipfarm_7.0_amd64.deb"), Path("sipfarm_8.0_amd64.deb")]
        )
        for each in commands_of(
            "```console\n"
            f"admin$ scp dist/sipfarm_{documents.VERSIONS[0]}_amd64.deb root@10.99.0.10:\n"
            f"admin$ upgrade ./sipfarm_{documents.VERSIONS[1]}_amd64.deb\n"
            f"admin$ rollback -e node_version={documents.VERSIONS[0]}\n"
            f"admin$ ping 1{documents.VERSIONS[0]}.{documents.VERSIONS[0]}.3\n```\n",
            "e.md",
        )
    ]
    assert [each.text for each in typed] == [
        "scp dist/sipfarm_7.0_amd64.deb root@10.99.0.10:",
        "upgrade ./sipfarm_8.0_amd64.deb",
        "rollback -e node_version=7.0",
        f"ping 1{documents.VERSIONS[0]}.{documents.VERSIONS[0]}.3",
    ]


class _NoHosts:
    """None that takes commands; they reboot, though."""

    def ssh(self, name: str, *_: object, **__: object) -> "subprocess.CompletedProcess[str]":
        raise AssertionError(f"{name} was asked")

    def reboot(self, _name: str) -> float:
        return 1.5
