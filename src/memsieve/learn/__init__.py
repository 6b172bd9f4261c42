"""Learning what a candidate is worth from questions whose answers are graded."""
