"""Parts of tabs that are long enough for modules of their own."""
