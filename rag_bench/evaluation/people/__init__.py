"""People's labels: how far annotators agree, how well a judge follows them, corrected scores."""
