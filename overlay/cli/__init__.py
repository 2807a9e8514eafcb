"""The command `sipfarm`: one file a verb.

- verb: a word after `sipfarm`, with its options and its help
- answer: what the daemon said, as a table or, with `--json`, as JSON on stdout
- note: what is for people only, on stderr
- exit code: what scripts rely on (`exits.py`)
- page: a part of a long list, continued by a cursor

    arguments -> verb -> ask_daemon -> control socket -> output, table
"""
