"""What the farm knows, as plain values, and how two copies of it merge. No clocks, no I/O.

- registration: the bindings of one address-of-record
- call: the set of events of one Call-ID, which only grows
- subscriber: who may register and call, signed by the operator
- settings: trunks and numbers, signed by the operator
- merge: commutative, associative and idempotent, so that copies agree in the end

    REGISTER -> register -> registrar (decides) -> registration -> routing -> targets
    a proxy's event -> call -> assemble -> call_record
"""
