"""Drift statistics, calibration of thresholds, comparison of windows."""
