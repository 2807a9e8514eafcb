"""Tests the package, its units and `ansible/` on real Debian hosts, from bare ones to an upgrade.

Five words:

- host: a whole Debian 12 of `deploy/hosts/`, with a systemd of its own: `op`, `n1` to `n4`.
- story: the order of the test files, each of which goes on from the end of the one before.
- playbook: a play of `ansible/`, run as an operator runs it (`playbooks.py`).
- load: phones on this machine that call and register while hosts change (`farm.load`).
- console block: commands of a document, typed on hosts as they stand there (`doc_commands.py`).

The way of data:

    conftest ─▶ deploy.hosts: bare hosts
    test ─▶ playbooks ─▶ Ansible ─▶ hosts ─▶ farm (ssh, DNS, HTTP) ─▶ assertions
      └───▶ load ─▶ SIP ─▶ nodes ─▶ Tally: requests that failed, by transport
    docs/*.md ─▶ doc_commands ─▶ hosts
"""
