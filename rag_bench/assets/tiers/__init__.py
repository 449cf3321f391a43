"""What single tiers show and check beyond what all do; assets are made in `factories`."""
