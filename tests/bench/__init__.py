"""The benchmarks: each figure of ours beside its peer's, in the same run, on the same machine.

In: `run NAME…`. Out: one result a benchmark. See DESIGN.md for what is counted and why it is fair.
"""
