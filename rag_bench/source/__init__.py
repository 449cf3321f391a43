"""Reading what people give us: database dumps and SQuAD files, as data, never as programs."""
