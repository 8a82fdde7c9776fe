"""The classifier: which states are not ordinary."""

from stepladder.classifier.classify import DEFAULT, Classifier, classify

__all__ = ["DEFAULT", "Classifier", "classify"]
