ALTER TABLE runs DROP COLUMN usage_estimated;
