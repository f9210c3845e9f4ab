-- Analytics events, written in the transaction that they tell of and sent from here afterwards.
CREATE TABLE outbox (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    -- What receivers know an event by. Ids come again in a database that was restored.
    event_id uuid NOT NULL DEFAULT gen_random_uuid(),
    kind text NOT NULL,
    payload jsonb NOT NULL,
    -- Events of one step are sent in their order.
    step_id text NOT NULL GENERATED ALWAYS AS (coalesce(payload ->> 'stepId', '')) STORED,
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX outbox_in_order ON outbox (step_id, id);
