"""What the farm knows, as plain values, and how two copies of it merge. No clocks, no I/O.

- registration: the bindings of one address-of-record
- call: the set of events of one Call-ID; it only grows
- subscriber: a person or device that may register and call; the operator signs the record
- settings: the farm's trunks and numbers; the operator signs them
- merge: a function of two copies of a record that is commutative, associative and idempotent, so
  that all copies agree in the end

    REGISTER -> register -> registrar (decides) -> registration -> routing -> targets
    a proxy's event -> call -> assemble -> call_record
"""
