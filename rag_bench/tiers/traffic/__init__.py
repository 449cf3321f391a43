"""What users really asked: tier ux and the analytics of the sources."""
