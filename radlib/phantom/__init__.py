"""The simulated glioma cohort: anatomy, tumour growth, MR signal, scanner, genes, survival."""
