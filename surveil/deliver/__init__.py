"""Room 5: what was decided reaches its subscribers, in order, with its picture."""
