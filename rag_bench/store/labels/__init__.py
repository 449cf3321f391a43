"""People's labels of evaluated answers: guidelines, drawn cases, labels. Labels are only added."""
