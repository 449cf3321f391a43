"""Commands about benchmark judges themselves: whether one is still the same, and its succession."""
