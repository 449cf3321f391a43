"""What a sweep will ask and cost, from the very jobs that it would run."""
