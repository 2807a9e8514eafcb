"""The command `sipfarm`: one file for each verb.

- verb: a word after `sipfarm`, with its options and its help
- answer: what the daemon said, on stdout: as a table or, with `--json`, as JSON
- note: a line for people only, on stderr
- exit code: the number that scripts rely on (`exits.py`)
- page: a part of a long list, continued by a cursor

    arguments -> verb -> ask_daemon -> control socket -> output, table
"""
