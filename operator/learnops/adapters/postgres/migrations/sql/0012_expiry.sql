-- Signals that came apart from a bundle may be of a run that never reports: nothing else would ever
-- let them go. Retention looks at each such run once it is old, and at no other: with a report, it
-- is taken off this list. Those that are there already are looked at once.
ALTER TABLE run_rewards ADD COLUMN sent_apart boolean NOT NULL DEFAULT true;
ALTER TABLE run_rewards ALTER COLUMN sent_apart SET DEFAULT false;
CREATE INDEX run_rewards_sent_apart ON run_rewards (namespace, rewarded_at, run_id)
    WHERE sent_apart;
COMMENT ON COLUMN run_rewards.sent_apart IS
    'signals came apart from a bundle, and retention has not seen their run reported since';

-- After its alarm a watch is never read again: what it would go on numbering could not expire, because
-- it is not read.
ALTER TABLE drift_watches ADD COLUMN alarmed boolean NOT NULL DEFAULT false;
UPDATE drift_watches SET alarmed = true WHERE state ~ '"alarmAt": ?[0-9]';
COMMENT ON COLUMN drift_watches.alarmed IS 'it has raised its alarm: no more runs are numbered';
