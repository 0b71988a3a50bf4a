DROP TABLE response_deletions;
