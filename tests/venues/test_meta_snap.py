from dfmon.model.units import HOUR, MINUTE, SECOND
from dfmon.venues.meta_snap import Job, PollSchedule, RollMap

DAY_START = 1_794_787_200_000_000_000  # 2026-11-16T00:00:00Z


def test_listings_are_due_at_five_past_every_hour() -> None:
    schedule = PollSchedule(summary_s=1e6)
    schedule.restart(DAY_START + 7 * HOUR + 58 * MINUTE)
    due_jobs = [
        minute
        for minute in range(7 * 60 + 58, 10 * 60)
        if Job.LISTING in schedule.due_jobs(DAY_START + minute * MINUTE)
    ]
    assert due_jobs == [8 * 60 + 5, 9 * 60 + 5]


def test_a_missed_hour_is_due_once() -> None:
    schedule = PollSchedule(summary_s=30)
    schedule.restart(DAY_START)
    assert schedule.due_jobs(DAY_START + 7 * HOUR) == [Job.LISTING, Job.SUMMARY]
    assert schedule.due_jobs(DAY_START + 7 * HOUR + SECOND) == []


def test_summaries_keep_their_pace() -> None:
    schedule = PollSchedule(summary_s=10)
    schedule.restart(DAY_START + 6 * MINUTE)
    due_jobs = [second for second in range(60) if schedule.due_jobs(DAY_START + 6 * MINUTE + second * SECOND)]
    assert due_jobs == [10, 20, 30, 40, 50]


def test_the_roll_at_eight_names_what_came_and_what_went() -> None:
    roll_map = RollMap()
    first = roll_map.apply_listing("BTC:option", [(1, "BTC-16NOV26-90000-C"), (2, "BTC-27NOV26-90000-C")])
    assert (first.added, first.removed) == (frozenset({"BTC-16NOV26-90000-C", "BTC-27NOV26-90000-C"}), frozenset())
    roll = roll_map.apply_listing("BTC:option", [(2, "BTC-27NOV26-90000-C"), (3, "BTC-18NOV26-90000-C")])
    assert (roll.added, roll.removed) == (frozenset({"BTC-18NOV26-90000-C"}), frozenset({"BTC-16NOV26-90000-C"}))
    assert roll_map.names("BTC:option") == {"BTC-27NOV26-90000-C", "BTC-18NOV26-90000-C"}
    assert roll_map.name(1) == "BTC-16NOV26-90000-C"  # gone, and still known
    assert roll_map.name(9) is None
    assert roll_map.contract_id("BTC:option", "BTC-18NOV26-90000-C") == 3
    assert roll_map.contract_id("BTC:option", "BTC-16NOV26-90000-C") is None


def test_the_same_reading_twice_is_no_roll() -> None:
    roll_map = RollMap()
    roll_map.apply_listing("BTC:option", [(1, "A")])
    assert not roll_map.apply_listing("BTC:option", [(1, "A")])


def test_groups_do_not_end_each_others_names() -> None:
    roll_map = RollMap()
    roll_map.apply_listing("BTC:option", [(1, "A")])
    assert roll_map.apply_listing("ETH:option", [(2, "B")]).removed == frozenset()


def test_an_id_with_a_new_name_is_a_rename() -> None:
    roll_map = RollMap()
    roll_map.apply_listing("BTC:option", [(1, "A")])
    roll = roll_map.apply_listing("BTC:option", [(1, "A2")])
    assert roll.renamed == ((1, "A", "A2"),)
    assert roll_map.name(1) == "A2"


def test_contracts_without_an_id_are_followed_by_name() -> None:
    roll_map = RollMap()
    roll_map.apply_listing("BTC:option", [(0, "A"), (0, "B")])
    assert roll_map.apply_listing("BTC:option", [(0, "B"), (0, "C")]).removed == {"A"}
    assert roll_map.name(0) is None
