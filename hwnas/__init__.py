"""hwnas: neural networks that are accurate and fit the hardware they run on."""

__version__ = "0.1.0"
