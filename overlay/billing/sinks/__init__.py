"""Where billing records go outside the farm; `sink.py` says what all of them have in common."""
