from dfmon.model.micro_structure import ImpactRow, KyleRow, Micro, MicroWindow
from dfmon.tui.render.order_flow import order_flow_text

WINDOW = MicroWindow(15, 1.0, 5e6, 30e6, 18e6, 0.21, 0.0, 0.0, 2e6)


def test_line_names_every_number_with_its_unit() -> None:
    micro = Micro(
        windows=(WINDOW,), spread_bps=0.42, queue_imbalance=0.12, micro_price_bps=0.05,
        kyle=KyleRow(0.81, 0.6, 1.02, 90, 0.7), impact=ImpactRow(2e6, "linear", 0.02, 0.02, 0.05, 28e6),
    )  # fmt: skip
    assert order_flow_text(micro) == (
        "15 min: takers +12.0M net of 48.0M, order-flow imbalance +5.0M, open interest +2.0M, "
        "sign autocorrelation +0.21, spread 0.42 bp, queues +0.12, micro-price +0.050 bp, "
        "lambda 0.81 bp per 1M (0.60 to 1.02, 90 min), hedge of 1 % moves 0.020 to 0.050 % (linear law 0.020)"
    )


def test_what_is_missing_is_said() -> None:
    assert order_flow_text(Micro()) == "15 min: no prints of the hedging markets"
    partial = MicroWindow(15, 0.4, None, 30e6, 18e6, None, 0.0, 0.0, None)
    text = order_flow_text(Micro(windows=(partial,), missing=("okx.perp",), disagreement="flow against pressure"))
    assert text.startswith("15 min, 40% seen: takers +12.0M net of 48.0M, order-flow imbalance n/a, open interest n/a")
    assert text.endswith("no prints now from okx.perp, flow against pressure")
