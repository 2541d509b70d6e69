"""Roll-ups of the book: NGI, VSS, CHL, VOLG, by strike and by expiry."""
