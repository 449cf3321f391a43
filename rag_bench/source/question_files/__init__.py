"""Files of questions and labelled pairs, in the forms that people have them."""
