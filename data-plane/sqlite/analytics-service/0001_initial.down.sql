DROP TABLE journey_steps;
DROP TABLE journeys;
DROP TABLE usage;
