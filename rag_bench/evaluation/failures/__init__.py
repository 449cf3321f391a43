"""Where answers fail, told from ids before any judge is believed."""
