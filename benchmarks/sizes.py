"""How much of everything: the sizes of the figures, of a quick look, and of a test that they work at all."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Sizes:
    """Counts, rates a second, and seconds."""

    subscribers: int = 500
    publishers: int = 4
    fan_out_messages: int = 400
    paced_messages: int = 120
    messages_per_second: float = 40.0
    replies: int = 300
    tokens_per_second: float = 50.0
    settle_seconds: float = 1.0
    window_seconds: float = 5.0
    clients: int = 64
    tokens: int = 200
    loop_seconds: float = 3.0
    idle_streams: int = 5_000
    joins: int = 5_000
    peer_joins: int = 500
    reconnects: int = 2_000
    questions: int = 300
    light_replies: int = 50
    short_messages: int = 10
    long_messages: int = 10_000
    stored_conversations: int = 100_000
    growth_tokens: int = 2_000
    growth_rate: float = 500.0
    upstream_replies: int = 8
    upstream_tokens: int = 20_000


FULL = Sizes()
QUICK = Sizes(
    fan_out_messages=150,
    paced_messages=60,
    window_seconds=2.0,
    loop_seconds=1.5,
    idle_streams=2_000,
    joins=2_000,
    peer_joins=200,
    reconnects=1_000,
    questions=60,
    long_messages=2_000,
    stored_conversations=5_000,
    growth_tokens=800,
    upstream_tokens=5_000,
)
TINY = Sizes(
    subscribers=5,
    publishers=2,
    fan_out_messages=10,
    paced_messages=5,
    messages_per_second=100.0,
    replies=4,
    tokens_per_second=100.0,
    settle_seconds=0.1,
    window_seconds=1.0,
    clients=2,
    tokens=20,
    loop_seconds=1.0,
    idle_streams=20,
    joins=20,
    peer_joins=5,
    reconnects=20,
    questions=5,
    light_replies=2,
    long_messages=40,
    stored_conversations=40,
    growth_tokens=100,
    growth_rate=100.0,
    upstream_replies=2,
    upstream_tokens=120,
)
