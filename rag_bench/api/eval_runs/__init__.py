"""Runs of the evaluation service over HTTP: started, waited for, followed, read, cancelled."""
