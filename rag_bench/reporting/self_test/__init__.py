"""What the bench found when it tried itself: its statistics, and faults that were planted."""
