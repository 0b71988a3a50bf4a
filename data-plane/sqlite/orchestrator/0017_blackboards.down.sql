DROP TABLE blackboard_writes;
