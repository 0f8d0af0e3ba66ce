"""Networks, features, protocols and reporting for a reproducible book on five glioma MRI papers.

Importing the package is cheap: torch, MONAI and scikit-learn load with the modules that use them.
"""

__version__ = "0.1.0"
