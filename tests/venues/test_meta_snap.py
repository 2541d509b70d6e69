from dfmon.model.units import HOUR, MINUTE, SECOND
from dfmon.venues.meta_snap import Job, RollMap, Schedule

DAY_START = 1_794_787_200_000_000_000  # 2026-11-16T00:00:00Z


def test_listings_are_due_at_five_past_every_hour():
    schedule = Schedule(summary_s=1e6)
    schedule.restart(DAY_START + 7 * HOUR + 58 * MINUTE)
    due = [minute for minute in range(7 * 60 + 58, 10 * 60) if Job.LISTING in schedule.due(DAY_START + minute * MINUTE)]
    assert due == [8 * 60 + 5, 9 * 60 + 5]


def test_a_missed_hour_is_due_once():
    schedule = Schedule(summary_s=30)
    schedule.restart(DAY_START)
    assert schedule.due(DAY_START + 7 * HOUR) == [Job.LISTING, Job.SUMMARY]
    assert schedule.due(DAY_START + 7 * HOUR + SECOND) == []


def test_summaries_keep_their_pace():
    schedule = Schedule(summary_s=10)
    schedule.restart(DAY_START + 6 * MINUTE)
    due = [second for second in range(60) if schedule.due(DAY_START + 6 * MINUTE + second * SECOND)]
    assert due == [10, 20, 30, 40, 50]


def test_the_roll_at_eight_names_what_came_and_what_went():
    rolls = RollMap()
    first = rolls.update("BTC:option", [(1, "BTC-16NOV26-90000-C"), (2, "BTC-27NOV26-90000-C")])
    assert (first.added, first.removed) == ({"BTC-16NOV26-90000-C", "BTC-27NOV26-90000-C"}, frozenset())
    roll = rolls.update("BTC:option", [(2, "BTC-27NOV26-90000-C"), (3, "BTC-18NOV26-90000-C")])
    assert (roll.added, roll.removed) == ({"BTC-18NOV26-90000-C"}, {"BTC-16NOV26-90000-C"})
    assert rolls.names("BTC:option") == {"BTC-27NOV26-90000-C", "BTC-18NOV26-90000-C"}
    assert rolls.name(1) == "BTC-16NOV26-90000-C"  # gone, and still known
    assert rolls.name(9) is None
    assert rolls.contract_id("BTC:option", "BTC-18NOV26-90000-C") == 3
    assert rolls.contract_id("BTC:option", "BTC-16NOV26-90000-C") is None


def test_the_same_reading_twice_is_no_roll():
    rolls = RollMap()
    rolls.update("BTC:option", [(1, "A")])
    assert not rolls.update("BTC:option", [(1, "A")])


def test_groups_do_not_end_each_others_names():
    rolls = RollMap()
    rolls.update("BTC:option", [(1, "A")])
    assert rolls.update("ETH:option", [(2, "B")]).removed == frozenset()


def test_an_id_with_a_new_name_is_a_rename():
    rolls = RollMap()
    rolls.update("BTC:option", [(1, "A")])
    roll = rolls.update("BTC:option", [(1, "A2")])
    assert roll.renamed == ((1, "A", "A2"),)
    assert rolls.name(1) == "A2"


def test_contracts_without_an_id_are_followed_by_name():
    rolls = RollMap()
    rolls.update("BTC:option", [(0, "A"), (0, "B")])
    assert rolls.update("BTC:option", [(0, "B"), (0, "C")]).removed == {"A"}
    assert rolls.name(0) is None
