"""One TOML file, `farm.toml`, checked once when a process starts.

- section: a table of the file; each is a class
- setting: a key with a type, a range, a default and a sentence, declared in `sections/`
- value: a type that says which values a setting may have (`values.py`)
- check: a rule about two or more settings (`checks.py`)

    farm.toml -> sections (types and ranges) -> checks -> Config
                    +-> docs/configuration.md

A mistake in the file is a `ConfigError` that names the key.
"""
