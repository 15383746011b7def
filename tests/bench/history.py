"""A history of any size in a warehouse, as the load would have left it; written by DuckDB, since a million calls
by HTTP would take an hour.

Three events a call, transcripts of 15 turns, three months of days, 40 agents, a customer for every ten calls.
"""

from datetime import datetime
from pathlib import Path

from orchestration.config import OrchestrationSettings
from orchestration.load.tables import ensure_tables
from orchestration.warehouse import open_warehouse

DAYS = 90
TURNS = 15
_PIECE = 50_000
"""Calls an insert: what bounds its memory."""

_EVENTS = """
with
    numbers as (
        select
            i,
            (hash(i) % 1000000007)::bigint as h,
            'old_' || lpad(i::varchar, 9, '0') as call_id,
            '+1202' || lpad((hash(i) % greatest($calls // 10, 1))::varchar, 7, '0') as phone,
            'agent_' || (hash(i + 1) % 40) as agent,
            $until::timestamp - to_seconds(((i::double / $calls) * $days * 86400)::bigint + 3600) as began,
            30 + (hash(i + 2) % 600)::bigint as seconds
        from range($first, $last) as numbers(i)
    ),

    said as (
        select
            *,
            began + to_seconds(seconds) as ended,
            to_json(list_transform(range($turns), lambda n: {
                'role': if(n % 2 = 0, 'agent', 'user'),
                'content': 'Turn ' || n || ' of call ' || i || ': ' || [
                    'I would like to know where my order is, please.',
                    'Let me look that up for you, one moment.', 'Thank you, that is all I wanted to know about it.',
                    'The payment of the last invoice was taken twice from my account.'][((h + n) % 4 + 1)::int],
                'timestamp': strftime(began + to_seconds((seconds * n // $turns)::bigint), '%Y-%m-%dT%H:%M:%SZ')
            })) as transcript
        from numbers
    ),

    bodies as (
        select
            call_id, phone, 'call.start' as event_type, began as happened,
            to_json({'event': 'call.start', 'timestamp': strftime(began, '%Y-%m-%dT%H:%M:%SZ'), 'agent_id': agent,
                'call_id': call_id, 'call_direction': if(h % 4 = 0, 'outbound', 'inbound'), 'caller_phone': phone,
                'agent_phone': '+18005550100'}) as payload
        from said
        union all
        select
            call_id, null, 'call.end', ended,
            to_json({'event': 'call.end', 'timestamp': strftime(ended, '%Y-%m-%dT%H:%M:%SZ'), 'agent_id': agent,
                'call_id': call_id, 'duration_seconds': seconds,
                'disposition': ['successful', 'unsuccessful', 'transferred', 'successful'][(h % 4 + 1)::int],
                'transcript': transcript, 'variables': {'customer_name': 'Customer ' || (h % 1000),
                'issue_type': ['billing', 'order', 'returns', 'account', 'other'][(h % 5 + 1)::int]}})
        from said
        union all
        select
            call_id, null, 'analytics.completed', ended + interval 20 seconds,
            to_json({'event': 'analytics.completed',
                'timestamp': strftime(ended + interval 20 seconds, '%Y-%m-%dT%H:%M:%SZ'), 'agent_id': agent,
                'call_id': call_id, 'metrics': {'satisfaction_score': 1 + h % 5, 'issue_resolved': h % 4 <> 1,
                'follow_up_needed': h % 7 = 0, 'product_discussed': 'Widget ' || (h % 9)}})
        from said
    )

insert into raw.call_events by name
select
    sha256(event_type || call_id)[:32] as event_key, event_key as event_id, 'atoms' as source, event_type, call_id,
    happened as occurred_at, happened + interval 1 second as received_at, phone as customer_phone, null as direction,
    payload, $loaded::timestamp as loaded_at
from bodies
order by happened
"""


def make_history(home: Path, calls: int, until: datetime) -> int:
    """Fill the raw tables of a home with `calls` calls that ended before `until` (UTC); how many events they are."""
    settings = OrchestrationSettings(home=home)
    warehouse = open_warehouse(settings)
    with warehouse.writing():
        ensure_tables(settings)
        with warehouse.connect(read_only=False) as connection:
            for first in range(0, calls, _PIECE):
                values = {
                    "calls": calls, "days": DAYS, "turns": TURNS, "until": until.replace(tzinfo=None),
                    "first": first, "last": min(first + _PIECE, calls), "loaded": until.replace(tzinfo=None),
                }  # fmt: skip
                connection.execute(_EVENTS, values)
            connection.execute("checkpoint")
            return int(connection.value("select count(*) from raw.call_events"))
