-- True when a provider reported no usage and some of the run's tokens were counted here.
ALTER TABLE runs ADD COLUMN usage_estimated INTEGER NOT NULL DEFAULT 0;
