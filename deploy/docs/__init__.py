"""Generates documents from declarations in the code; `python -m deploy.docs` writes them.

In: settings and limits with their docstrings, the help of the command `sipfarm`, declared metrics.
Out: docs/configuration.md, docs/commands.md and docs/metrics.md. Counterpart:
tests/unit/deploy/test_docs.py, which fails when a document is not what the code says.
"""
