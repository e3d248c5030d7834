"""The multivariate check: can a classifier tell live rows from training rows?"""
