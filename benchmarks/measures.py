"""What is measured, on whom, and which figures are to be reached."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import fan_out, growth, replies, sockets, streams, upstream
from benchmarks.servers import Contender, Server
from benchmarks.sizes import Sizes

OURS = "tickertape"
LIBRARY = "library"
ALL = (OURS, "express", "fastapi")


@dataclass(frozen=True)
class Goal:
    """What to reach: our figure (`of` None), or how it relates to a peer's.

    `more`: it is to be at least the target, else at most.
    """

    target: float
    aim: float | None = None
    of: str | None = None
    more: bool = False
    inverse: bool = False
    """Whether the ratio is peer / ours: so many times less."""


@dataclass(frozen=True)
class Figure:
    """One row of the table: a key of what a measure returns."""

    key: str
    title: str
    unit: str
    goals: tuple[Goal, ...] = ()


@dataclass(frozen=True)
class Measure:
    """A name for the command line, what is done to one server, its rows, and on whom.

    A measure of what is stored already starts servers of its own: its `work` takes a contender, an empty folder, and
    one that all of a run share.
    """

    name: str
    work: Callable[..., Awaitable[dict[str, float]]]
    figures: tuple[Figure, ...]
    on: tuple[str, ...] = ALL
    rounds: int | None = None
    """How often at most; None as often as was asked for."""
    starts_its_own: bool = False
    environment: Mapping[str, str] = field(default_factory=dict)

    async def run(self, contender: Contender, folder: Path, shared: Path, sizes: Sizes) -> dict[str, float]:
        """Measure a contender, on a server that is started for it."""
        if self.starts_its_own:
            return await self.work(contender, folder, shared, sizes)
        with Server(contender, folder, **self.environment) as server:
            return await self.work(server, sizes)


FAN_OUT = (Goal(2.2, 2.5, of="express", more=True),)
FAN_OUT_CPU = (Goal(2.2, 2.5, of="express", more=True, inverse=True),)
BOTH = (Goal(1.0, of="express"), Goal(1.0, of="fastapi"))
FIRST = (Goal(1.0, of="fastapi"),)
READING = (Goal(1.0, of=LIBRARY, more=True, inverse=True),)

MEASURES = (
    Measure(
        "fan-out",
        fan_out.fan_out,
        (
            Figure("events_per_second", "Fan-out to {subscribers:,}, as fast as it goes", "events/s", FAN_OUT),
            Figure("us_per_event", "... CPU per delivered event", "µs", FAN_OUT_CPU),
        ),
    ),
    Measure(
        "fan-out-paced",
        fan_out.fan_out_paced,
        (
            Figure(
                "us_per_event",
                "Fan-out to {subscribers:,}, {messages_per_second:g} messages/s: CPU per delivered event",
                "µs",
                FAN_OUT_CPU,
            ),
        ),
    ),
    Measure(
        "fan-out-reply",
        fan_out.reply_to_many,
        (
            Figure(
                "us_per_event",
                "One reply to {subscribers:,} readers, {messages_per_second:g} tokens/s: CPU per delivered event",
                "µs",
            ),
        ),
        on=(OURS,),
    ),
    Measure(
        "websockets",
        sockets.by_turns,
        (
            Figure(
                "us_per_event",
                "One stream to {subscribers:,} WebSockets, {messages_per_second:g} messages/s: CPU per delivered event",
                "µs",
            ),
            Figure("us_per_event_of_streams", "... to event streams, by turns in the same process", "µs"),
            Figure("ratio", "... WebSockets to event streams", ""),
        ),
        on=(OURS,),
    ),
    Measure(
        "paced",
        replies.paced,
        (
            Figure(
                "us_per_token",
                "{replies:,} replies at {tokens_per_second:g} tokens/s: CPU per token",
                "µs",
                (Goal(0.9, 0.5, of="express"),),
            ),
            Figure("delivered", "... part of the tokens that came in time", ""),
            Figure("p50_ms", "... behind the model, p50", "ms"),
            Figure("p99_ms", "... behind the model, p99", "ms"),
        ),
    ),
    Measure(
        "closed-loop",
        replies.closed_loop,
        (
            Figure(
                "answers_per_second",
                "Closed loop, {clients} clients, {tokens} tokens",
                "answers/s",
                (Goal(3.5, 4, of="express", more=True), Goal(8, 10, of="fastapi", more=True)),
            ),
        ),
    ),
    Measure(
        "closed-loop-bursts",
        replies.closed_loop_in_bursts,
        (Figure("answers_per_second", "... from a model that never waits", "answers/s"),),
    ),
    Measure(
        "completions-paced",
        replies.paced_completions,
        (
            Figure(
                "us_per_token",
                "{replies:,} chat completions at {tokens_per_second:g} tokens/s: CPU per token",
                "µs",
                BOTH,
            ),
            Figure("delivered", "... part of the tokens that came in time", ""),
        ),
    ),
    Measure(
        "completions-loop",
        replies.closed_loop_of_completions,
        (
            Figure(
                "us_per_token",
                "Chat completions in a closed loop, {clients} clients, {tokens} tokens: CPU per token",
                "µs",
                BOTH,
            ),
            Figure("answers_per_second", "... and how many", "answers/s"),
        ),
    ),
    Measure(
        "idle-broadcast",
        streams.idle_on_broadcast,
        (Figure("kib_per_stream", "An idle stream of the broadcast channel", "KiB", (Goal(13, 12),)),),
        rounds=1,
    ),
    Measure(
        "idle-conversation",
        streams.idle_on_conversation,
        (Figure("kib_per_stream", "An idle stream of a conversation", "KiB", (Goal(13, 12),)),),
        on=(OURS,),
        rounds=1,
    ),
    Measure(
        "joins",
        streams.joins,
        (Figure("seconds", "{joins:,} joins, each told of all later ones (peers: {peer_joins:,})", "s", (Goal(0.5),)),),
        environment={"TELL_JOINS": "yes"},
    ),
    Measure(
        "reconnects",
        streams.reconnects,
        (
            Figure(
                "seconds",
                "{reconnects:,} reconnects with cursors after a kill, until all have caught up",
                "s",
                (Goal(2.0),),
            ),
        ),
        on=(OURS,),
    ),
    Measure(
        "first-token",
        replies.first_token,
        (
            Figure("p50_ms", "POST to first token, p50", "ms", FIRST),
            Figure("p99_ms", "... p99", "ms", FIRST),
        ),
    ),
    Measure(
        "first-token-busy",
        replies.first_token_beside_others,
        (
            Figure("p50_ms", "POST to first token beside {light_replies} paced replies, p50", "ms"),
            Figure("p99_ms", "... p99", "ms"),
        ),
    ),
    Measure(
        "long-conversation",
        growth.in_a_long_conversation,
        (
            Figure(
                "ratio", "A token's cost in {long_messages:,} messages to that in {short_messages}", "", (Goal(1.1),)
            ),
        ),
        on=(OURS,),
        starts_its_own=True,
    ),
    Measure(
        "many-conversations",
        growth.beside_many_conversations,
        (
            Figure(
                "ratio",
                "A token's cost with {stored_conversations:,} conversations to that with none",
                "",
                (Goal(1.1),),
            ),
        ),
        on=(OURS,),
        starts_its_own=True,
    ),
    Measure(
        "upstream",
        upstream.paced,
        (
            Figure(
                "us_per_token",
                "{upstream_replies} replies read from a model at {tokens_per_second:g} tokens/s: CPU per token",
                "µs",
                READING,
            ),
        ),
        on=(OURS, LIBRARY),
        starts_its_own=True,
    ),
    Measure(
        "upstream-fast",
        upstream.as_fast_as_it_goes,
        (Figure("us_per_token", "... from one that writes as fast as it is read", "µs", READING),),
        on=(OURS, LIBRARY),
        starts_its_own=True,
    ),
)
