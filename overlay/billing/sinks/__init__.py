"""The places outside the farm that take billing records. `sink.py` tells what all sinks have in
common."""
