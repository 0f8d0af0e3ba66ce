"""Mehra 2022: U-Net features, ACGAN, grade."""
