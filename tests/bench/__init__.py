"""Measures what the farm costs, beside peers that run at the same time on the same machine.

Five words:

- side: the farm, or a peer, with a way to make it do a fixed amount of work (`measure.py`).
- peer: what a provider would run instead of the farm, as good as we can write it (`peers/`).
- round: both sides do the same work, one after the other; the ratio of their costs is the figure.
- reading: a figure with a goal of its own, whatever a peer reaches (`reading.py`).
- load: sipp, or phones of `tests/sip/`; its CPU counts for no side (`load.py`).

The way of data:

    main ─▶ P1, P2, P3 ─▶ farm (the lab), peers ─▶ measure, cpu ─▶ comparison ─┐
      └───▶ P4 to P7, R2, R4, R5, DNS, SCALE ─▶ readings, curves ──────────────┤
                                                     report, results, guard ◀──┘

In: `run NAME…`. Out: one result for each benchmark. DESIGN.md says what is counted, and why that is
fair.
"""
