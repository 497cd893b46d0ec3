"""The SQL of routing decisions. Every statement takes a batch; sorted input and ORDER BY keep one order of locks."""

# Inserting locks a lead that is new, updating one that is known: either way it is ours until the commit. An older
# verdict that arrives late does not overwrite a newer one. xmax = 0: this statement inserted the row.
UPSERT_LEADS = """
    INSERT INTO lead AS l (lead_id, cleared, decided_at, updated_at)
    SELECT r.lead_id, r.cleared, r.decided_at, $4
    FROM unnest($1::uuid[], $2::bytea[], $3::timestamptz[]) AS r(lead_id, cleared, decided_at) ORDER BY r.lead_id
    ON CONFLICT (lead_id) DO UPDATE SET
        cleared = CASE WHEN l.decided_at > EXCLUDED.decided_at THEN l.cleared ELSE EXCLUDED.cleared END,
        decided_at = greatest(l.decided_at, EXCLUDED.decided_at),
        updated_at = EXCLUDED.updated_at
    RETURNING l.lead_id::text, l.blocked_at, (l.xmax = 0) AS is_new
"""
UPSERT_BLOCKS = """
    INSERT INTO lead AS l (lead_id, blocked_at, updated_at)
    SELECT r.lead_id, r.blocked_at, $3
    FROM unnest($1::uuid[], $2::timestamptz[]) AS r(lead_id, blocked_at) ORDER BY r.lead_id
    ON CONFLICT (lead_id) DO UPDATE SET
        blocked_at = greatest(l.blocked_at, EXCLUDED.blocked_at), updated_at = EXCLUDED.updated_at
    RETURNING l.lead_id::text, l.cleared, l.blocked_at
"""
LOCK_LEADS = """
    SELECT lead_id::text, cleared, blocked_at FROM lead WHERE lead_id = ANY($1::uuid[]) ORDER BY lead_id FOR UPDATE
"""
LIST_RUNNING = """
    SELECT assignment_id::text, lead_id::text, rep_id, rep_name, team, pool, rule_id, document_version, assigned_at,
           worked_at
    FROM assignment WHERE lead_id = ANY($1::uuid[]) AND ended_at IS NULL
"""
FIND_ASSIGNMENTS = "SELECT assignment_id::text FROM assignment WHERE assignment_id = ANY($1::uuid[])"
LIST_WAITING = "SELECT lead_id::text FROM fallback_entry WHERE lead_id = ANY($1::uuid[])"
# The row of a company nobody knew is made here, so that two batches cannot both be the first.
LOCK_ACCOUNTS = """
    INSERT INTO account AS a (company_domain, seen_at)
    SELECT r.company_domain, $2 FROM unnest($1::text[]) AS r(company_domain) ORDER BY r.company_domain
    ON CONFLICT (company_domain) DO UPDATE SET seen_at = EXCLUDED.seen_at
    RETURNING a.company_domain, a.rep_id
"""
LOCK_MEMBERS = """
    SELECT pool_id, rep_id, weight, balance FROM pool_member WHERE pool_id = ANY($1::text[])
    ORDER BY pool_id, rep_id FOR UPDATE
"""
ADD_MEMBERS = """
    INSERT INTO pool_member (pool_id, rep_id, weight)
    SELECT $1, r.rep_id, r.weight FROM unnest($2::text[], $3::int[]) AS r(rep_id, weight) ORDER BY r.rep_id
    ON CONFLICT DO NOTHING
"""
REMOVE_OTHER_MEMBERS = "DELETE FROM pool_member WHERE pool_id = $1 AND rep_id <> ALL($2::text[])"
RESET_MEMBERS = """
    UPDATE pool_member m SET weight = r.weight, balance = 0
    FROM unnest($2::text[], $3::int[]) AS r(rep_id, weight) WHERE m.pool_id = $1 AND m.rep_id = r.rep_id
"""
LOCK_LOADS = """
    SELECT rep_id, open_leads, day, given FROM rep_load WHERE rep_id = ANY($1::text[]) ORDER BY rep_id FOR UPDATE
"""
SAVE_BALANCES = """
    UPDATE pool_member m SET balance = r.balance
    FROM unnest($1::text[], $2::text[], $3::bigint[]) AS r(pool_id, rep_id, balance)
    WHERE m.pool_id = r.pool_id AND m.rep_id = r.rep_id
"""
SAVE_LOADS = """
    UPDATE rep_load l SET open_leads = r.open_leads, day = r.day, given = r.given
    FROM unnest($1::text[], $2::int[], $3::date[], $4::int[]) AS r(rep_id, open_leads, day, given)
    WHERE l.rep_id = r.rep_id
"""
SAVE_ACCOUNTS = """
    UPDATE account a SET rep_id = r.rep_id FROM unnest($1::text[], $2::text[]) AS r(company_domain, rep_id)
    WHERE a.company_domain = r.company_domain
"""
INSERT_DECISIONS = """
    INSERT INTO decision (decision_id, lead_id, outcome, trace, decided_at)
    SELECT r.*, $5 FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::bytea[]) AS r
"""
INSERT_ASSIGNMENTS = """
    INSERT INTO assignment (assignment_id, lead_id, rep_id, rep_name, team, pool, rule_id, via, document_version,
                            source_key, decision_id, assigned_at)
    SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
                         $8::text[], $9::text[], $10::text[], $11::uuid[], $12::timestamptz[])
"""
END_ASSIGNMENTS = """
    UPDATE assignment a SET ended_at = $3, end_reason = r.reason
    FROM unnest($1::uuid[], $2::text[]) AS r(assignment_id, reason)
    WHERE a.assignment_id = r.assignment_id AND a.ended_at IS NULL
"""
MARK_WORKED = "UPDATE assignment SET worked_at = $2 WHERE assignment_id = ANY($1::uuid[]) AND worked_at IS NULL"
ENTER_QUEUE = """
    INSERT INTO fallback_entry (lead_id, reason, rule_id, source_key, decision_id, queued_at)
    SELECT r.*, $6 FROM unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::uuid[]) AS r
    ON CONFLICT (lead_id) DO UPDATE SET
        reason = EXCLUDED.reason, rule_id = EXCLUDED.rule_id, decision_id = EXCLUDED.decision_id
"""
LEAVE_QUEUE = "DELETE FROM fallback_entry WHERE lead_id = ANY($1::uuid[])"
CANCEL_CALLBACKS = """
    UPDATE callback c SET state = r.state, settled_at = $3 FROM unnest($1::uuid[], $2::text[]) AS r(lead_id, state)
    WHERE c.lead_id = r.lead_id AND c.state IN ('pending', 'failed')
"""
# NOTIFY reaches the delivery workers with the commit, not before: they never look for rows that are not there yet.
INSERT_CALLBACKS = """
    WITH written AS (
        INSERT INTO callback (callback_id, endpoint_id, lead_id, event_type, body, received_at, copies, created_at,
                              due_at, state)
        SELECT r.*, $8, $8, 'pending'
        FROM unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::text[], $5::bytea[], $6::timestamptz[], $7::int[]) AS r
    )
    SELECT pg_notify($9, '')
"""
