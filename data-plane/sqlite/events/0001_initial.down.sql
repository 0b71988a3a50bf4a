DROP TABLE dead_letters;
DROP TABLE consumers;
DROP TABLE events;
