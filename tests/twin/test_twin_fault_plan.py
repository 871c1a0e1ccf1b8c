"""The twin's fault plans and draws: what may be asked for, what is promised, what is counted."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal

import pytest

from gridlab.domain.market import Market
from gridlab.errors import InvalidInput, NotFound
from gridlab.twin.fault_plan import SHIPPED, FaultKind, TwinFaultPlan
from gridlab.twin.faults import DRIFT_MS_PER_S, RequestFault, TwinFaults

ORDER = "/fapi/v1/order"
NOW_MS = 1_770_000_000_000


def request(faults: TwinFaults, path: str = ORDER, method: str = "POST", **more) -> RequestFault:
    more = {"is_order": method != "GET", "now_ms": NOW_MS} | more
    return faults.on_request(more.pop("market", Market.FUTURES), method, path, **more)


class TestPlans:
    def test_no_plan_is_no_fault(self):
        faults = TwinFaults()
        assert all(request(faults) == RequestFault() for _ in range(300))
        assert faults.on_event().copies == 1
        assert faults.fill_volume(Decimal(1), Decimal("0.001")) is None
        assert faults.counters() == {}

    @pytest.mark.parametrize("name", ["default", "calm", "storm", "storm.yaml"])
    def test_shipped_plans_load_by_name_and_survive_being_written(self, name):
        plan = TwinFaultPlan.load(name)
        assert TwinFaultPlan.read(plan.document()) == plan

    @pytest.mark.parametrize("name", ["default", "storm"])
    def test_the_loud_plans_hold_every_kind(self, name):
        plan = TwinFaultPlan.load(name)
        assert [kind for kind in FaultKind if plan.rate(kind).probability == 0] == []

    def test_a_file_beside_the_user_comes_before_a_shipped_name(self, tmp_path, monkeypatch):
        (tmp_path / "default.yaml").write_text("lost_reply: 0.25\n")
        monkeypatch.chdir(tmp_path)
        plan = TwinFaultPlan.load("default.yaml")
        assert plan.rate(FaultKind.LOST_REPLY).probability == 0.25
        assert plan.rate(FaultKind.LOST_REQUEST).probability == 0
        assert TwinFaultPlan.load("default") == TwinFaultPlan.load(SHIPPED / "default.yaml")

    def test_an_unknown_plan_lists_the_shipped_ones(self):
        with pytest.raises(NotFound, match="calm, default, storm"):
            TwinFaultPlan.load("stormy")

    @pytest.mark.parametrize(
        ("document", "message"),
        [
            ({"lost_reqest": 0.1}, "'lost_request' is the nearest"),
            ({"late_reply": {"max": 3}}, "'max_ms' is the nearest"),
            ({"lost_reply": {"probability": 0.1, "max_ms": 5}}, "'max_ms' is not known"),
            ({"lost_reply": 1.5}, "1.5 is not from 0 to 1"),
            ({"lost_reply": "often"}, "'often'; a probability"),
            ({"lost_reply": True}, "True; a probability"),
            ({"late_reply": {"probability": 0.1, "min_ms": 9, "max_ms": 5}}, "must ascend"),
            ({"banned": {"probability": 0.1, "max_ms": "5s"}}, "whole number of milliseconds"),
            ({"engine_limit_ms": 0}, "engine_limit_ms is 0"),
            ({"tick_ms": -5}, "tick_ms is -5"),
        ],
    )
    def test_what_can_not_be_used_is_refused_in_words(self, document, message):
        with pytest.raises(InvalidInput, match=message.replace("(", r"\(")):
            TwinFaultPlan.read(document)

    def test_a_file_that_is_no_mapping_is_refused(self, tmp_path):
        path = tmp_path / "plan.yaml"
        path.write_text("- lost_reply\n")
        with pytest.raises(InvalidInput, match="no mapping"):
            TwinFaultPlan.load(path)
        path.write_text("lost_reply: [0.1\n")
        with pytest.raises(InvalidInput, match="is not YAML"):
            TwinFaultPlan.load(path)

    @pytest.mark.parametrize("kind", ["slow_engine", "stale_read"])
    def test_what_hides_a_request_may_not_break_the_horizon(self, kind):
        document = {kind: {"probability": 0.1, "max_ms": 4_001}}
        with pytest.raises(InvalidInput, match="two fifths of engine_limit_ms 10000"):
            TwinFaultPlan.read(document)
        TwinFaultPlan.read(document | {"engine_limit_ms": 12_000})
        faults = TwinFaults()
        with pytest.raises(InvalidInput, match="4000"):
            faults.inject(kind, ms=4_001)
        faults.inject(kind, ms=4_000)


class TestDraws:
    def test_a_seed_decides_everything(self):
        def run(seed: int) -> list[RequestFault]:
            faults = TwinFaults(TwinFaultPlan.load("storm"), seed)
            return [request(faults) for _ in range(400)]

        assert run(7) == run(7)
        assert run(7) != run(8)

    def test_switching_one_kind_off_leaves_the_others_alone(self):
        loud = TwinFaults(TwinFaultPlan.load("storm"), 7)
        document = TwinFaultPlan.load("storm").document()
        del document["duplicated_event"]
        quieter = TwinFaults(TwinFaultPlan.read(document), 7)
        for _ in range(300):
            one, other = loud.on_event(), quieter.on_event()
            assert (one.is_dropped, one.delay_ms, one.is_held) == (
                other.is_dropped,
                other.delay_ms,
                other.is_held,
            )

    def test_rates_are_met_and_counted(self):
        faults = TwinFaults(TwinFaultPlan.read({"lost_request": 0.2, "late_reply": 0.5}), 1)
        seen = Counter()
        for _ in range(2_000):
            fault = request(faults)
            seen["lost"] += fault.is_request_lost
            seen["late"] += fault.reply_ms > 0
        assert 320 < seen["lost"] < 480
        assert faults.counters() == {"lost_request": seen["lost"], "late_reply": seen["late"]}

    def test_bounds_are_kept(self):
        rate = {"probability": 1, "min_ms": 30, "max_ms": 40}
        faults = TwinFaults(TwinFaultPlan.read({"late_request": rate, "late_event": rate}))
        assert {request(faults).travel_ms for _ in range(300)} == set(range(30, 41))
        assert {faults.on_event().delay_ms for _ in range(300)} == set(range(30, 41))

    def test_only_orders_are_duplicated_and_only_reads_are_stale(self):
        faults = TwinFaults(TwinFaultPlan.read({"duplicated_request": 1, "stale_read": 1}))
        order, read = request(faults), request(faults, method="GET")
        assert (order.is_duplicated, order.stale_ms) == (True, 0)
        assert read.is_duplicated is False
        assert 200 <= read.stale_ms <= 3_000

    def test_a_duplicate_counts_only_when_it_was_carried_out(self):
        faults = TwinFaults(TwinFaultPlan.read({"duplicated_request": 1}))
        assert request(faults).is_duplicated
        assert faults.may_repeat(is_open_or_ended=False) is False
        assert faults.counters() == {}
        assert faults.may_repeat(is_open_or_ended=True) is True
        assert faults.counters() == {"duplicated_request": 1}

    def test_nothing_else_happens_to_a_request_that_never_arrives(self):
        everything = dict.fromkeys(
            ["lost_request", "lost_reply", "late_request", "late_reply", "duplicated_request"], 1
        )
        faults = TwinFaults(TwinFaultPlan.read(everything))
        assert request(faults) == RequestFault(is_request_lost=True, is_executed=False)
        assert faults.counters() == {"lost_request": 1}

    def test_a_partial_fill_leaves_something_and_fills_something(self):
        faults = TwinFaults(TwinFaultPlan.read({"partial_fill": 1}))
        lot = Decimal("0.001")
        for resting in (Decimal("0.002"), Decimal("0.003"), Decimal("1.234"), Decimal("250")):
            for _ in range(50):
                part = faults.fill_volume(resting, lot)
                assert part is not None and lot <= part <= resting - lot
                assert part % lot == 0
        assert faults.counters() == {"partial_fill": 200}
        assert faults.fill_volume(lot, lot) is None
        assert faults.counters() == {"partial_fill": 200}


class TestTold:
    def test_a_told_fault_befalls_the_next_fitting_requests_and_no_other(self):
        faults = TwinFaults()
        faults.inject("lost_reply", 2, path="/order", method="post")
        assert request(faults, "/fapi/v1/openOrders", "GET") == RequestFault()
        assert request(faults, ORDER, "GET") == RequestFault()
        assert request(faults).is_reply_lost
        assert faults.waiting(FaultKind.LOST_REPLY) == 1
        assert request(faults).is_reply_lost
        assert request(faults) == RequestFault()
        assert faults.counters() == {"lost_reply": 2}
        assert faults.waiting(FaultKind.LOST_REPLY) == 0

    def test_a_told_fault_leaves_the_drawn_ones_where_they_were(self):
        plan = TwinFaultPlan.load("storm")
        plain, told = TwinFaults(plan, 3), TwinFaults(plan, 3)
        told.inject("late_reply", ms=77)
        faults = [(request(plain), request(told)) for _ in range(200)]
        differing = [pair for pair in faults if pair[0] != pair[1]]
        assert len(differing) == 1
        assert differing[0][1].reply_ms == 77

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("lost_replay",), "'lost_reply' is the nearest"),
            (("lost_reply", 0), "count is 0"),
            (("lost_reply", True), "count is True"),
        ],
    )
    def test_what_can_not_be_told_is_refused(self, arguments, message):
        with pytest.raises(InvalidInput, match=message):
            TwinFaults().inject(*arguments)

    def test_unknown_and_impossible_details_are_refused(self):
        faults = TwinFaults()
        with pytest.raises(InvalidInput, match="'ms' is the nearest|'msec' is not known"):
            faults.inject("late_reply", msec=5)
        with pytest.raises(InvalidInput, match="-5; only a clock"):
            faults.inject("late_reply", ms=-5)
        with pytest.raises(InvalidInput, match="ms is '5'"):
            faults.inject("late_reply", ms="5")
        with pytest.raises(InvalidInput, match="not a number"):
            faults.inject("partial_fill", fraction="half")

    @pytest.mark.parametrize(
        ("kind", "market", "status", "code"),
        [
            ("unknown_503", Market.FUTURES, 503, None),
            ("unknown_503", Market.SPOT, 500, -1000),
            ("unexpected_response", Market.SPOT, 500, -1006),
            ("timed_out", Market.SPOT, 504, -1007),
            ("timed_out", Market.FUTURES, 408, -1007),
        ],
    )
    @pytest.mark.parametrize("is_executed", [True, False])
    def test_an_unknown_outcome_is_executed_or_not_as_told(
        self, kind, market, status, code, is_executed
    ):
        faults = TwinFaults()
        faults.inject(kind, executed=is_executed)
        fault = request(faults, market=market)
        assert fault.is_executed is is_executed
        assert fault.answer is not None
        assert (fault.answer.status, fault.answer.body.get("code")) == (status, code)
        assert not fault.is_reply_lost

    def test_an_unknown_outcome_is_drawn_both_ways(self):
        faults = TwinFaults(TwinFaultPlan.read({"unknown_503": 1}), 5)
        outcomes = Counter(request(faults).is_executed for _ in range(400))
        assert min(outcomes.values()) > 150

    @pytest.mark.parametrize("kind", ["unavailable_503", "throttled_503"])
    def test_a_refusal_is_never_executed(self, kind):
        faults = TwinFaults()
        faults.inject(kind)
        fault = request(faults)
        assert not fault.is_executed
        assert fault.answer is not None and fault.answer.status == 503

    def test_reduce_only_orders_pass_the_throttle_of_usd_m_alone(self):
        faults = TwinFaults()
        faults.inject("throttled_503", 2)
        assert request(faults, is_reduce_only=True) == RequestFault()
        assert request(faults, is_reduce_only=True, market=Market.SPOT).answer is not None
        assert request(faults).answer is not None

    def test_bans_and_throttles_carry_their_length_and_execute_nothing(self):
        faults = TwinFaults()
        faults.inject("banned", ms=9_000)
        faults.inject("throttled", ms=2_000)
        assert request(faults) == RequestFault(ban_ms=9_000, is_executed=False)
        assert request(faults) == RequestFault(throttle_ms=2_000, is_executed=False)

    def test_maintenance_refuses_everything_until_it_is_over(self):
        faults = TwinFaults(TwinFaultPlan.load("storm"))
        faults.maintenance_until_ms = NOW_MS + 5
        fault = request(faults)
        assert fault.answer is not None and fault.answer.body["code"] == -1016
        assert not fault.is_executed
        later = TwinFaults()
        later.maintenance_until_ms = NOW_MS
        assert request(later) == RequestFault()

    def test_quiet_ends_everything_but_the_clock(self):
        faults = TwinFaults(TwinFaultPlan.load("storm"))
        faults.inject("lost_reply", 5)
        faults.silent_until_ms = faults.maintenance_until_ms = NOW_MS + 10_000
        faults.drift_to(500, NOW_MS, at_once=True)
        faults.quiet()
        assert all(request(faults) == RequestFault() for _ in range(200))
        assert faults.silent_until_ms == 0
        assert faults.clock_offset_ms(NOW_MS + 60_000) == 500


class TestClock:
    def test_it_drifts_and_never_goes_back(self):
        faults = TwinFaults()
        faults.drift_to(-1_000, NOW_MS)
        times = [t + faults.clock_offset_ms(t) for t in range(NOW_MS, NOW_MS + 20_000, 7)]
        assert times == sorted(times)
        assert faults.clock_offset_ms(NOW_MS + 5_000) == -5 * DRIFT_MS_PER_S
        assert faults.clock_offset_ms(NOW_MS + 10_000) == -1_000
        assert faults.clock_offset_ms(NOW_MS + 99_000) == -1_000

    def test_a_new_offset_starts_from_where_the_clock_is(self):
        faults = TwinFaults()
        faults.drift_to(1_000, NOW_MS)
        faults.drift_to(-1_000, NOW_MS + 4_000)
        assert faults.clock_offset_ms(NOW_MS + 4_000) == 400
        assert faults.clock_offset_ms(NOW_MS + 9_000) == -100
        assert faults.clock_offset_ms(NOW_MS + 18_000) == -1_000

    def test_at_once_leaps(self):
        faults = TwinFaults()
        faults.drift_to(-3_000, NOW_MS, at_once=True)
        assert faults.clock_offset_ms(NOW_MS) == -3_000
