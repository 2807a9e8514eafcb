"""What every other package uses, and what knows nothing of a farm.

- error: an exception that the project raises on purpose (`errors.py`)
- limit: a bound on something that others can make large (`limits.py`); `limit_hits.py` counts how
  often each bound was hit
- frame: a length and that many bytes, on links and on the control socket
- decoder: a function from bytes to a checked value; it raises `msgspec.MsgspecError` and nothing
  else
- task: background work that one part owns and ends
"""
