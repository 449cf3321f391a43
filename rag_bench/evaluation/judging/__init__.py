"""How good a judge is: against labels, against itself, against answers of known worth."""
