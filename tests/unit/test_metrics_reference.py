"""docs/reference/metrics.md says what the registries declare: neither more nor less."""

import pytest

from tests.monitoring import ROOT, Described, of_api, of_operator

PAGE = ROOT / "docs" / "reference" / "metrics.md"
_BEGIN, _END = "<!-- {} -->\n", "<!-- end -->"


def table(metrics: list[Described]) -> str:
    lines = ["| name | type | labels | unit | meaning |", "| --- | --- | --- | --- | --- |"]
    for one in metrics:
        labels = ", ".join(f"`{label}`" for label in one.labels)
        lines.append(f"| `{one.name}` | {one.kind} | {labels} | {one.unit} | {one.meaning} |")
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(("process", "declared"), [("api", of_api), ("operator", of_operator)])
def test_the_table_is_what_the_process_declares(
    request: pytest.FixtureRequest, process: str, declared: object
) -> None:
    assert callable(declared)
    expected, text = table(declared()), PAGE.read_text()
    before, begin, rest = text.partition(_BEGIN.format(process))
    written, end, after = rest.partition(_END)
    assert begin, process
    assert end, process
    if request.config.getoption("--update-golden"):
        PAGE.write_text(before + begin + expected + end + after)
        return
    assert written == expected, "run this test with --update-golden, and look at what it wrote"


def test_no_label_tells_a_run_a_tenant_or_a_session() -> None:
    known = {
        *("namespace", "doer", "policy", "arm", "canary", "epoch", "process", "term", "guardrail"),
        *("decision", "bound", "reason", "stage", "verdict", "by", "kind", "result", "verb"),
        *("code", "route", "queue", "channel", "version", "component"),
    }
    assert {label for one in (*of_api(), *of_operator()) for label in one.labels} <= known


@pytest.mark.parametrize(
    "name",
    [
        *("learnops_runs_total", "learnops_evidence_runs_total"),
        *("learnops_evidence_loss_sum_total", "learnops_evidence_loss_sumsq_total"),
        *("learnops_crl_sum_total", "learnops_assignments_total", "learnops_crl"),
        *("learnops_crl_term_sum_total", "learnops_run_cost_usd_total"),
        *("learnops_run_duration_seconds", "learnops_reconcile_total"),
        *("learnops_reconcile_duration_seconds", "learnops_queue_depth"),
        *("learnops_queue_oldest_seconds", "learnops_canary_weight", "learnops_canary_evidence"),
        *("learnops_canary_difference", "learnops_verdict_total", "learnops_promotions_total"),
        *("learnops_api_requests_total", "learnops_build_info"),
    ],
)
def test_a_promised_metric_is_there(name: str) -> None:
    """Dashboards of others rest on these names."""
    assert name in {one.name for one in (*of_api(), *of_operator())}
