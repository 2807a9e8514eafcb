"""Tests the package, its units, `ansible/` and docs/ on real Debian hosts, from bare ones on.

Five words:

- host: a whole Debian 12 of `deploy/hosts/`, with a systemd of its own: `op`, `n1` to `n4`.
- story: the order of the test files, each of which goes on from the end of the one before.
- reader: stands for an operator who types a document's commands as they are (`documents.py`).
- playbook: a play of `ansible/`, run as an operator runs it (`playbooks.py`).
- load: phones on this machine that call and register while hosts change (`farm.py`).

The way of data:

    conftest ─▶ deploy.hosts: bare hosts
    docs/*.md ─▶ doc_commands ─▶ documents ─▶ Ansible, ssh ─▶ hosts
    test ─▶ documents, playbooks ─▶ farm (ssh, DNS, HTTP) ─▶ assertions
      └───▶ load ─▶ SIP ─▶ nodes ─▶ Tally: requests that failed, by transport
"""
