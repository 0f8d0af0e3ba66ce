"""Tables, figures, sentences and the ledger: how results reach a page."""
