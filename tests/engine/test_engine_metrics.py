"""What an engine counts: each number under its name, with its labels, in buckets that tell cases apart."""

from prometheus_client.parser import text_string_to_metric_families

from engine.metrics import EngineMetrics


def read(metrics: EngineMetrics) -> dict[str, float]:
    """Samples by name and labels."""
    samples = [sample for family in text_string_to_metric_families(metrics.export()) for sample in family.samples]
    return {" ".join((sample.name, *sample.labels.values())): sample.value for sample in samples}


def test_a_forward_pass_is_counted_by_model_and_tower() -> None:
    metrics = EngineMetrics()
    metrics.count_batch("m", "pose", items=3, tokens=75, padded=100, seconds=0.2)
    found = read(metrics)
    assert found["signclip_engine_forward_seconds_sum m pose"] == 0.2
    assert found["signclip_engine_batch_items_sum m pose"] == 3
    assert found["signclip_engine_batch_tokens_sum m pose"] == 100
    assert found["signclip_engine_batch_padding_share_sum m pose"] == 0.25
    assert found["signclip_engine_forward_seconds_bucket 0.1 m pose"] == 0
    assert found["signclip_engine_forward_seconds_bucket 0.25 m pose"] == 1
    assert found["signclip_engine_batch_items_bucket 2.0 m pose"] == 0
    assert found["signclip_engine_batch_items_bucket 4.0 m pose"] == 1
    assert found["signclip_engine_batch_tokens_bucket 64.0 m pose"] == 0
    assert found["signclip_engine_batch_tokens_bucket 256.0 m pose"] == 1
    assert found["signclip_engine_batch_padding_share_bucket 0.2 m pose"] == 0
    assert found["signclip_engine_batch_padding_share_bucket 0.3 m pose"] == 1
    assert not any("text" in name for name in found)


def test_buckets_reach_from_one_text_to_the_longest_wait() -> None:
    metrics = EngineMetrics()
    metrics.count_batch("m", "text", items=1, tokens=16, padded=16, seconds=0.001)
    metrics.count_wait(29.0)
    found = read(metrics)
    for histogram in ("forward_seconds", "batch_items", "batch_tokens", "batch_padding_share"):
        bounds = [float(name.split()[1]) for name in found if name.startswith(f"signclip_engine_{histogram}_bucket ")]
        assert bounds == sorted(set(bounds))
        assert found[f"signclip_engine_{histogram}_bucket {bounds[0]} m text"] == 1
    assert found["signclip_engine_queue_wait_seconds_bucket 10.0"] == 0
    assert found["signclip_engine_queue_wait_seconds_bucket 30.0"] == 1
    assert found["signclip_engine_queue_wait_seconds_sum"] == 29.0


def test_failures_lookups_gauges_and_the_process_are_counted() -> None:
    metrics = EngineMetrics()
    metrics.watch("ready", "1 when ready", lambda: 1.0)
    metrics.count_failures("m", "text", 2)
    metrics.count_failures("m", "text", 3)
    metrics.count_lookups(hits=4, misses=1)
    found = read(metrics)
    assert found["signclip_engine_item_failures_total m text"] == 5
    assert found["signclip_engine_text_cache_total hit"] == 4
    assert found["signclip_engine_text_cache_total miss"] == 1
    assert found["signclip_engine_ready"] == 1
    assert found["signclip_engine_process_resident_memory_bytes"] > 1_000_000


def test_two_engines_of_one_process_count_apart() -> None:
    first, second = EngineMetrics(), EngineMetrics()
    first.count_wait(1.0)
    assert read(first)["signclip_engine_queue_wait_seconds_count"] == 1
    assert read(second)["signclip_engine_queue_wait_seconds_count"] == 0
