"""Three applications that serve the same collection: generated, Beanie by hand, PyMongo by hand."""
