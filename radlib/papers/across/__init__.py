"""Studies that span papers, and prediction on patients of one's own."""
