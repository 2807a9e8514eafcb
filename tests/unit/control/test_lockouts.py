"""An address that guesses passwords is locked out, and no other address."""

from hypothesis import given
from hypothesis import strategies as st

from overlay.config.sections import ProxySection
from overlay.control.lockouts import ADDRESS_CHARS_MAX, WINDOW_S, Lockouts

SETTINGS = ProxySection(login_failures_max=3, login_failures_address_max=7, lockout_s=100)
ALICE, BOB, HERE, THERE = "alice@farm.test", "bob@farm.test", "192.0.2.1", "2001:db8::1"


class Clock:
    now_s = 1_000.0

    def __call__(self) -> float:
        return self.now_s


def test_a_user_is_locked_out_from_where_it_was_tried() -> None:
    clock = Clock()
    lockouts = Lockouts(SETTINGS, clock)
    assert [lockouts.failed(ALICE, HERE) for _ in range(3)] == [None, None, (ALICE, HERE)]
    assert lockouts.left_s(ALICE, HERE) == 100
    assert lockouts.left_s(ALICE, THERE) == 0
    assert lockouts.left_s(BOB, HERE) == 0
    clock.now_s += 99.5
    assert lockouts.left_s(ALICE, HERE) == 1
    clock.now_s += 0.5
    assert lockouts.left_s(ALICE, HERE) == 0
    assert (len(lockouts), lockouts.all()) == (0, [])


def test_an_address_that_tries_many_users_is_locked_out() -> None:
    lockouts = Lockouts(SETTINGS, Clock())
    found = [lockouts.failed(f"user{number}@farm.test", HERE) for number in range(7)]
    assert found == [None] * 6 + [("", HERE)]
    assert lockouts.left_s(ALICE, HERE) == 100
    assert lockouts.left_s(ALICE, THERE) == 0


def test_typing_errors_of_a_day_are_no_attack() -> None:
    clock = Clock()
    lockouts = Lockouts(SETTINGS, clock)
    for _ in range(50):
        assert lockouts.failed(ALICE, HERE) is None
        clock.now_s += WINDOW_S / 2 + 1


def test_what_a_peer_found_out_holds_and_ends() -> None:
    lockouts = Lockouts(SETTINGS, Clock())
    lockouts.learn((ALICE, HERE), 50)
    assert lockouts.all() == [((ALICE, HERE), 50)]
    lockouts.learn((ALICE, HERE), 10**9)
    assert lockouts.left_s(ALICE, HERE) == 100, "no longer than lockouts last here"
    lockouts.learn((ALICE, HERE), 0)
    assert lockouts.left_s(ALICE, HERE) == 0


@given(st.lists(st.tuples(st.text(max_size=3), st.text(max_size=100), st.integers(-5, 500))))
def test_nothing_that_is_said_locks_out_everybody(said: list[tuple[str, str, int]]) -> None:
    lockouts = Lockouts(SETTINGS, Clock())
    for aor, address, seconds in said:
        lockouts.learn((aor, address), seconds)
        lockouts.failed(aor, address)
    assert lockouts.left_s(ALICE, "") == 0
    assert all(0 < len(address) <= ADDRESS_CHARS_MAX for (_, address), _ in lockouts.all())
