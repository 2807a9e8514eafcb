"""Documents that are generated from declarations in the code; `python -m deploy.docs` writes them.

In: settings and limits with their docstrings, the command's own help, declared metrics. Out:
docs/configuration.md, docs/commands.md and docs/metrics.md. Counterpart:
tests/unit/deploy/test_docs.py compares them.
"""
