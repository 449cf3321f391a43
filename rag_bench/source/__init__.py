"""Reading what people give us: dumps and files of questions, as data, never as programs."""
