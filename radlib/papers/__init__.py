"""What the chapters run: from data over training and evaluation to tables and figures, one package a paper."""
