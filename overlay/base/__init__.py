"""What every other package uses, and what knows nothing of a farm.

- error: an exception that the project raises on purpose (`errors.py`)
- limit: a bound on something that others can make large (`limits.py`), and a hit of it
- frame: a length and that many bytes, on links and on the control socket
- decoder: bytes in, a checked value or `msgspec.MsgspecError` out
- task: background work that somebody owns and ends
"""
