-- Which process works on a run, and under which epoch: it grows with each change of hands, and writes that carry an older one are refused.
ALTER TABLE runs ADD COLUMN lease_owner TEXT;
ALTER TABLE runs ADD COLUMN lease_epoch INTEGER NOT NULL DEFAULT 1;
