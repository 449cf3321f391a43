"""What an operator sees from outside: trace ids, spans, fields of the log. Any row may use it."""
