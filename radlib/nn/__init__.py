"""Networks. Nothing here reads a file; one module a paper, shared blocks in modules of their own."""
