ALTER TABLE runs DROP COLUMN pause_requested;
